"""`<Gather>`: an endpoint that plays its prompt and collects keys until enough were pressed, or for too long none."""

import asyncio

from breeze_buddy.simulator import twiml
from breeze_buddy.simulator.ear import NOTHING
from breeze_buddy.simulator.sound import Clip, frames_of


class Gathering:
    """``done`` resolves to the digits and the key that ended them, both perhaps empty.

    The first key ends the prompt.
    """

    def __init__(self, verb: twiml.Gather, prompt: bytes) -> None:
        self.sources: tuple[str, ...] = ("say",) if prompt else NOTHING
        self.done: asyncio.Future[tuple[str, str]] = asyncio.get_running_loop().create_future()
        self._verb = verb
        self._prompt: Clip | None = Clip(prompt)
        self._digits = ""
        self._quiet_frames = 0

    def exchange(self, said: bytes) -> bytes | None:
        """The next frame of the prompt; after it, time counts."""
        if self._prompt is not None:
            frame = self._prompt.next_frame()
            if frame is not None:
                return frame
            self._listen_only()
        self._quiet_frames += 1
        if self._quiet_frames >= frames_of(self._verb.timeout_s):
            self._finish("")
        return None

    def press(self, digit: str) -> None:
        """A key: kept, unless it is the one that finishes."""
        self._listen_only()
        self._quiet_frames = 0
        if digit in self._verb.finish_on_key:
            self._finish(digit)
            return
        self._digits += digit
        if self._verb.num_digits and len(self._digits) >= self._verb.num_digits:
            self._finish("")

    def _listen_only(self) -> None:
        self._prompt, self.sources = None, NOTHING

    def _finish(self, key: str) -> None:
        if not self.done.done():
            self.done.set_result((self._digits, key))
