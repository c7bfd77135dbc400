"""When the caller's turn begins and ends, from the probability of speech in one window after another.

probability  ▁▁▂▇██▇█▇▂▁▁▃▇█▇▁▁▁▁▁▁▁▁▁
                └┬─┘                └─ ended: silent for `end_of_turn_s`
                 └─ began: `onset_s` of speech
"""

from enum import Enum, auto

SPEECH = 0.5
"""A window at or above this is speech; one below SILENCE is silence; between them a turn goes on as it is."""
SILENCE = 0.35
ONSET_S = 0.13
LONGEST_TURN_S = 25.0


class TurnEvent(Enum):
    BEGAN = auto()
    ENDED = auto()


class TurnDetector:
    """Pure: call `step` with each window's probability of speech."""

    def __init__(self, *, window_s: float, end_of_turn_s: float, onset_s: float = ONSET_S) -> None:
        self._window_s = window_s
        self._end_of_turn_s = end_of_turn_s
        self._onset_windows = max(1, round(onset_s / window_s))
        self._voiced_windows = 0
        self.in_turn = False
        self.silent_s = 0.0
        self._turn_s = 0.0

    def reset(self) -> None:
        """Whatever was said is over."""
        self.in_turn = False
        self._voiced_windows = 0

    def step(self, probability: float) -> TurnEvent | None:
        if not self.in_turn:
            # A click inside a pause must not count towards the next onset for ever.
            self._voiced_windows = (
                self._voiced_windows + 1 if probability >= SPEECH else max(0, self._voiced_windows - 1)
            )
            if self._voiced_windows < self._onset_windows:
                return None
            self.in_turn = True
            self.silent_s = self._turn_s = 0.0
            return TurnEvent.BEGAN
        self._turn_s += self._window_s
        if probability < SILENCE:
            self.silent_s += self._window_s
        else:
            self.silent_s = 0.0
        if self.silent_s < self._end_of_turn_s and self._turn_s < LONGEST_TURN_S:
            return None
        self.in_turn = False
        self._voiced_windows = 0
        return TurnEvent.ENDED
