"""What a media server tells Prometheus of its load and of its conversations, in the text exposition format 0.0.4.

The histograms are those of the process; `figures.py` fills them.
"""

from bisect import bisect_left
from itertools import accumulate

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0)


class Histogram:
    """Durations in seconds, counted by the bounds that they do not exceed."""

    def __init__(self, name: str, help_text: str) -> None:
        self._name = name
        self._help = help_text
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self._sum_s = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(BOUNDS_S, seconds)] += 1
        self._sum_s += seconds

    def exposition(self) -> str:
        below = list(accumulate(self._counts))
        bounds = (*map(str, BOUNDS_S), "+Inf")
        lines = [f'{self._name}_bucket{{le="{bound}"}} {count}' for bound, count in zip(bounds, below, strict=True)]
        rest = f"{self._name}_sum {self._sum_s:.6f}\n{self._name}_count {below[-1]}\n"
        return _header(self._name, self._help, "histogram") + "\n".join(lines) + "\n" + rest


class Counter:
    """How often something has happened."""

    def __init__(self, name: str, help_text: str) -> None:
        self._name = name
        self._help = help_text
        self._times = 0

    def count(self) -> None:
        self._times += 1

    def exposition(self) -> str:
        return f"{_header(self._name, self._help, 'counter')}{self._name} {self._times}\n"


ANSWER_TO_FIRST_WORD = Histogram(
    "breeze_media_answer_to_first_word_seconds", "From the start of a stream to its first frame."
)
TURN_WAITED = Histogram("breeze_media_turn_waited_seconds", "Silence that was waited for at the end of a turn.")
TURN_TRANSCRIPT = Histogram("breeze_media_turn_transcript_seconds", "From the end of a turn to its transcript.")
TURN_FIRST_TOKEN = Histogram(
    "breeze_media_turn_first_token_seconds", "From the transcript to the first token of a language model."
)
TURN_REPLY = Histogram("breeze_media_turn_reply_seconds", "From the transcript to the first words of the dialogue.")
TURN_AUDIO = Histogram("breeze_media_turn_audio_seconds", "From the first words of the dialogue to their first sound.")
TURN_SENT = Histogram("breeze_media_turn_sent_seconds", "From the end of a turn to the first frame of the answer.")
BARGE_IN = Histogram("breeze_media_barge_in_seconds", "From the onset of an interruption to `clear`.")
INTERRUPTIONS = Counter("breeze_media_interruptions_total", "Times that the agent fell silent for a caller.")
SILENCES = Counter("breeze_media_silences_total", "Times that a caller said nothing for as long as was waited.")
_CONVERSATIONS = (
    ANSWER_TO_FIRST_WORD,
    TURN_WAITED,
    TURN_TRANSCRIPT,
    TURN_FIRST_TOKEN,
    TURN_REPLY,
    TURN_AUDIO,
    TURN_SENT,
    BARGE_IN,
    INTERRUPTIONS,
    SILENCES,
)


def exposition(*, streams: int, capacity: int, draining: bool) -> bytes:
    """Streams that are live, how many there may be, their ratio, and 1 while the server drains; then the figures of
    conversations."""
    gauges = {
        "breeze_media_streams": ("Live streams.", streams),
        "breeze_media_streams_capacity": ("Streams that this media server takes at once.", capacity),
        "breeze_media_load_ratio": ("Live streams over capacity.", round(streams / capacity, 4)),
        "breeze_media_draining": ("1 while no new streams are taken.", int(draining)),
    }
    load = [f"{_header(name, help_text, 'gauge')}{name} {value}\n" for name, (help_text, value) in gauges.items()]
    return "".join((*load, *(one.exposition() for one in _CONVERSATIONS))).encode()


def _header(name: str, help_text: str, kind: str) -> str:
    return f"# HELP {name} {help_text}\n# TYPE {name} {kind}\n"
