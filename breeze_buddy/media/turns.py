"""When the caller's turn begins and ends, from the probability of speech in one window after another.

probability  ▁▁▂▇██▇█▇▂▁▁▃▇█▇▁▁▁▁▁▁▁▁▁
                └┬─┘  └─┬─┘         └─ ended: silent for as long as this speaker is waited for (`pauses.py`)
                 │      └─ a pause: what the wait is learnt from
                 └─ began: `onset_s` of speech
"""

from enum import Enum, auto

from breeze_buddy.media.pauses import FLUENT_PAUSE_S, EndOfTurn

SPEECH = 0.5
"""A window at or above this is speech; one below SILENCE is silence; between them a turn goes on as it is."""
SILENCE = 0.35
ONSET_S = 0.13
LONGEST_TURN_S = 25.0


class TurnEvent(Enum):
    BEGAN = auto()
    ENDED = auto()


class TurnDetector:
    """Pure: call `step` with each window's probability of speech. `voiced_s` is the speech in the turn so far,
    `silent_s` the silence since its last."""

    def __init__(self, *, window_s: float, end_of_turn: EndOfTurn, onset_s: float = ONSET_S) -> None:
        self._window_s = window_s
        self._end_of_turn = end_of_turn
        self._onset_windows = max(1, round(onset_s / window_s))
        self._voiced_windows = 0
        self.in_turn = False
        self.silent_s = self.voiced_s = 0.0
        self._turn_s = 0.0
        self._paused = False
        self._since_turn_s: float | None = None  # since the last speech of the turn before

    def reset(self) -> None:
        """Whatever was said is over."""
        self.in_turn = False
        self._voiced_windows = 0
        self._since_turn_s = None

    def step(self, probability: float) -> TurnEvent | None:
        return self._within(probability) if self.in_turn else self._between(probability)

    def _between(self, probability: float) -> TurnEvent | None:
        if self._since_turn_s is not None:
            self._since_turn_s += self._window_s
        # A click inside a pause must not count towards the next onset for ever.
        self._voiced_windows = self._voiced_windows + 1 if probability >= SPEECH else max(0, self._voiced_windows - 1)
        if self._voiced_windows < self._onset_windows:
            return None
        self.in_turn = True
        self.voiced_s = self._voiced_windows * self._window_s
        self.silent_s = self._turn_s = 0.0
        self._paused = False
        if (
            self._since_turn_s is not None
            and (gap_s := self._since_turn_s - self.voiced_s) <= self._end_of_turn.longest_s
        ):
            self._end_of_turn.paused(gap_s)  # it was no end, only a pause
        return TurnEvent.BEGAN

    def _within(self, probability: float) -> TurnEvent | None:
        self._turn_s += self._window_s
        if probability >= SPEECH:
            self.voiced_s += self._window_s
        if probability < SILENCE:
            self.silent_s += self._window_s
        elif self.silent_s:
            if self.silent_s >= FLUENT_PAUSE_S:
                self._paused = True
                self._end_of_turn.paused(self.silent_s)
            self.silent_s = 0.0
        if self.silent_s < self._end_of_turn.wait_s and self._turn_s < LONGEST_TURN_S:
            return None
        self._end_of_turn.ended(voiced_s=self.voiced_s, paused=self._paused)
        self.in_turn = False
        self._voiced_windows = 0
        self._since_turn_s = self.silent_s
        return TurnEvent.ENDED
