"""The sound of one answered call: a callee on one side, whatever the TwiML has joined them to on the other.

The line knows nothing of TwiML; a program attaches an endpoint and detaches it. An endpoint that mixes several lines
(a conference) fits the same two methods.
"""

import asyncio
from typing import Protocol

from breeze_buddy.simulator.callee import Callee
from breeze_buddy.simulator.ear import NOTHING, Ear
from breeze_buddy.simulator.recordings import Recording
from breeze_buddy.simulator.sound import SILENCE_FRAME, Clip


class Endpoint(Protocol):
    """What a callee is joined to.

    ``sources`` names what can be heard through it: SIDs of other calls, ``agent-stream``, ``music``, ``say`` …; it is
    replaced, never changed, when that changes.
    """

    @property
    def sources(self) -> tuple[str, ...]:
        """Who or what can be heard."""

    def exchange(self, said: bytes) -> bytes | None:
        """Take 20 ms of what the callee says, give 20 ms to hear, or None for silence."""

    def press(self, digit: str) -> None:
        """The callee pressed a key."""


class Playback:
    """An endpoint that plays a clip; ``done`` resolves when it has been heard."""

    def __init__(self, ulaw: bytes, source: str) -> None:
        self.sources = (source,)
        self._clip = Clip(ulaw)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def exchange(self, said: bytes) -> bytes | None:
        """The next frame of the clip."""
        frame = self._clip.next_frame()
        if frame is None and not self.done.done():
            self.done.set_result(None)
        return frame

    def press(self, digit: str) -> None:
        """Nobody listens to keys here."""


class Line:
    """Moves sound between a callee and an endpoint, into the recordings, and past the witness."""

    __slots__ = ("_endpoint", "callee", "ear", "recordings")

    def __init__(self) -> None:
        self.callee: Callee | None = None
        self.recordings: list[Recording] = []
        self.ear = Ear()
        self._endpoint: Endpoint | None = None

    def attach(self, endpoint: Endpoint) -> None:
        """Join the callee to this endpoint instead of the one before."""
        self._endpoint = endpoint

    def detach(self, endpoint: Endpoint) -> None:
        """Leave this endpoint, if the callee is still joined to it."""
        if self._endpoint is endpoint:
            self._endpoint = None

    def press(self, digit: str) -> None:
        """The callee pressed a key."""
        if self._endpoint is not None:
            self._endpoint.press(digit)

    def tick(self) -> None:
        """20 ms of the call."""
        if self.callee is None:
            return
        said = self.callee.speak()
        endpoint = self._endpoint
        sources = NOTHING if endpoint is None else endpoint.sources
        heard = (endpoint.exchange(said) if endpoint is not None else None) or SILENCE_FRAME
        self.callee.hear(heard)
        self.ear.note(sources, hears=self.callee.hears_sound, speaks=said is not SILENCE_FRAME)
        for recording in self.recordings:
            recording.write(said, heard)
