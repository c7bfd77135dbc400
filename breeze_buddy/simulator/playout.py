"""What the media server sent and the callee has not heard yet: Twilio's playout buffer, with its marks.

Pure: bytes go in, frames come out at whatever pace the caller asks for them.
"""

from collections import deque

from breeze_buddy.simulator.errors import CallFault
from breeze_buddy.simulator.sound import FRAME_BYTES, SAMPLE_RATE_HZ, SILENCE_BYTE

BUFFER_MAX_BYTES = 10 * 60 * SAMPLE_RATE_HZ
BUFFER_FULL = 31931


class Playout:
    """A queue of sound with marks between its bytes."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._handed_out = 0
        self._received = 0
        self._marks: deque[tuple[int, str]] = deque()

    def media(self, payload: bytes) -> None:
        """Sound to play after the rest. Raises CallFault 31931 past ten minutes."""
        if len(self._waiting) + len(payload) > BUFFER_MAX_BYTES:
            raise CallFault(BUFFER_FULL, "More than ten minutes of audio are waiting to be played")
        self._waiting += payload
        self._received += len(payload)

    def mark(self, name: str) -> None:
        """Remember the name at this place of the sound."""
        self._marks.append((self._received, name))

    def clear(self) -> list[str]:
        """Drop what is waiting; the names of all pending marks, which come back at once."""
        self._handed_out = self._received
        self._waiting.clear()
        names = [name for _, name in self._marks]
        self._marks.clear()
        return names

    def due_marks(self) -> list[str]:
        """Marks whose sound was handed out whole: ask before the next frame, when it has been heard."""
        names = []
        while self._marks and self._marks[0][0] <= self._handed_out:
            names.append(self._marks.popleft()[1])
        return names

    def next_frame(self) -> bytes | None:
        """The next 20 ms (its end padded with silence), or None when nothing waits."""
        if not self._waiting:
            return None
        frame = bytes(self._waiting[:FRAME_BYTES])
        del self._waiting[:FRAME_BYTES]
        self._handed_out += len(frame)
        return frame if len(frame) == FRAME_BYTES else frame.ljust(FRAME_BYTES, SILENCE_BYTE)

    @property
    def is_empty(self) -> bool:
        """Whether everything received has been handed out."""
        return not self._waiting
