"""How long a speaker's silence is waited for before it is the end of their turn.

Whoever pauses long within what they say is waited for longer, who speaks fluently for less long; never less than the
shortest wait, never more than the longest.

    pause heard   0.65 s         0.8 s            (fluent)   (fluent)
    wait          0.70 ─▶ 0.91 ───▶ 1.12 ──────────▶ 0.95 ─────▶ 0.82 …
"""

MARGIN = 1.4
"""The wait is this many times the pauses that the speaker makes."""
FORGETS = 0.2
"""The share of a shorter pause in what is expected next; a longer one counts at once."""
FLUENT_PAUSE_S = 0.2
"""Silences shorter than this are within and between words; a turn without a longer one had pauses of this."""
FLUENT_TURN_S = 1.5
"""A turn of at least so much speech without a pause says that its speaker makes none."""


class EndOfTurn:
    """Pure. `first_s` is waited for somebody of whom nothing is known yet."""

    def __init__(self, *, first_s: float, shortest_s: float, longest_s: float) -> None:
        if not shortest_s <= first_s <= longest_s:
            raise ValueError("the first wait lies between the shortest and the longest")
        self._shortest_s = shortest_s
        self.longest_s = longest_s
        self._pause_s = first_s / MARGIN
        self.wait_s = first_s

    def paused(self, pause_s: float) -> None:
        """The speaker was silent so long, and went on."""
        if pause_s < FLUENT_PAUSE_S:
            return
        self._pause_s = max(pause_s, self._pause_s + FORGETS * (pause_s - self._pause_s))
        self.wait_s = min(self.longest_s, max(self._shortest_s, MARGIN * self._pause_s))

    def ended(self, *, voiced_s: float, paused: bool) -> None:
        """A turn with so much speech in it is over; `paused` says whether there was a pause in it."""
        if voiced_s >= FLUENT_TURN_S and not paused:
            self.paused(FLUENT_PAUSE_S)
