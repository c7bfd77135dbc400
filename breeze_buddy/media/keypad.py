"""Keys that the caller has pressed, until they are an answer."""

KEY_PAUSE_S = 2.0
"""Keys pressed are a whole answer after this pause."""
PRIVATE_TAIL_S = 1.0
"""Keys that follow the last one of a private answer so soon belong to it: a # after the number, a digit too many."""
CUT_TAIL_S = 1.0
"""Keys that follow an interruption of the call, or each other after one, so soon are the end of what was being keyed in
then: its beginning is lost, and it is asked for again."""


class Keypad:
    """Times are those of the loop's clock. `due_s` is when the keys are an answer, if no more come. `cut_s` is when the
    stream began of a call that had been interrupted."""

    def __init__(self, *, cut_s: float | None = None) -> None:
        self.keys = ""
        self.due_s: float | None = None
        self._private_until_s = float("-inf")
        self._cut_until_s = cut_s + CUT_TAIL_S if cut_s is not None else float("-inf")

    def takes(self, *, private: bool, attentive: bool, now_s: float) -> bool:
        """Whether a key pressed now is part of an answer; `private` and `attentive` are the conversation's."""
        if now_s < self._cut_until_s:
            self._cut_until_s = now_s + CUT_TAIL_S
            return False
        if private:
            if attentive:
                self._private_until_s = now_s + PRIVATE_TAIL_S
            return attentive
        return now_s >= self._private_until_s

    def press(self, key: str, now_s: float) -> None:
        self.keys += key
        self.wait(now_s)

    def wait(self, now_s: float) -> None:
        """For more keys, from now on."""
        self.due_s = now_s + KEY_PAUSE_S

    def take(self) -> str:
        """The keys, which are an answer now."""
        keys = self.keys
        self.forget()
        return keys

    def forget(self) -> None:
        self.keys, self.due_s = "", None
