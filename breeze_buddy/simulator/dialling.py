"""`<Dial>`: takes a call into a conference, or rings other phones and joins the call to the first that answers."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from breeze_buddy.simulator import twiml
from breeze_buddy.simulator.calls import Call, CallRequest
from breeze_buddy.simulator.conference import Conference, Seat
from breeze_buddy.simulator.conferences import Conferences
from breeze_buddy.simulator.dates import now_s
from breeze_buddy.simulator.join_settings import JoinSettings
from breeze_buddy.simulator.music import Loop
from breeze_buddy.simulator.sound import FRAME_BYTES, SILENCE_BYTE, tone

if TYPE_CHECKING:
    from breeze_buddy.simulator.program import Program

SIP_OK, SIP_CANCELLED = 200, 487
RINGBACK = tone(425, 1.0, 3000) + SILENCE_BYTE * (200 * FRAME_BYTES)
UNANSWERED = ("busy", "failed", "no-answer", "canceled")

Answered = Callable[["Program"], Awaitable[None]]


class Dialler(Protocol):
    """Whoever can place calls."""

    def place(self, request: CallRequest, answered: Answered | None = None) -> Call:
        """Create a call that does ``answered`` once somebody has picked up."""


class Ringback:
    """An endpoint: the tone a caller hears while another phone rings."""

    sources = ("ringback",)

    def __init__(self) -> None:
        self._tone = Loop(RINGBACK)

    def exchange(self, said: bytes) -> bytes | None:
        """The next frame of it."""
        return self._tone.next_frame()

    def press(self, digit: str) -> None:
        """Nobody listens to keys here."""


class BridgeEnd:
    """One side of two calls joined directly: an endpoint that hears what the other side said last."""

    def __init__(self, other_sid: str) -> None:
        self.sources = (other_sid,)
        self.other: BridgeEnd | None = None
        self._said: bytes | None = None

    def exchange(self, said: bytes) -> bytes | None:
        """20 ms in, 20 ms out."""
        self._said = said
        if self.other is None:
            return None
        heard, self.other._said = self.other._said, None
        return heard

    def press(self, digit: str) -> None:
        """Nobody listens to keys here."""


class Dialling:
    """The `<Dial>`s of one call."""

    def __init__(self, call: Call, conferences: Conferences, dialler: Dialler) -> None:
        self._call = call
        self._conferences = conferences
        self._dialler = dialler

    async def dial(self, verb: twiml.Dial, url: str | None) -> dict[str, str]:
        """Carry it out; the fields that its action URL is told."""
        if verb.conference is None:
            return await self._dial_numbers(verb, url)
        settings = with_resolved_urls(verb.conference, url)
        begun_s = now_s()
        if not await self.sit(Seat(self._call, settings), self._conferences.at(settings)):
            return {"DialCallStatus": "failed"}
        return {"DialCallStatus": "answered", "DialCallDuration": str(round(now_s() - begun_s))}

    async def sit(self, seat: Seat, conference: Conference) -> bool:
        """Be in a conference until the seat is lost; False when there was no room."""
        call = self._call
        if not self._conferences.join(seat, conference):
            call.notify(16025, f"The conference {conference.name} is full")
            return False
        call.line.attach(seat)
        try:
            await seat.left
        finally:
            call.line.detach(seat)
            self._conferences.gone(seat, conference)
        return True

    async def _dial_numbers(self, verb: twiml.Dial, url: str | None) -> dict[str, str]:
        call = self._call
        won: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
        legs: list[Call] = []
        ringback = Ringback()
        call.line.attach(ringback)
        try:
            for number in verb.numbers:
                legs.append(self._ring(number, verb, url, won))
            lost = asyncio.gather(*(leg.finished.wait() for leg in legs))
            either: list[asyncio.Future[Any]] = [won, lost]
            try:
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            finally:
                lost.cancel()
            call.line.detach(ringback)
            if not won.done():
                return _nobody(legs)
            winner = won.result()
            for leg in legs:
                if leg is not winner:
                    give_up(leg)
            begun_s = now_s()
            await self._talk(winner)
            duration_s = round(now_s() - begun_s)
            return {"DialCallStatus": "completed", "DialCallSid": winner.sid, "DialCallDuration": str(duration_s)}
        finally:
            call.line.detach(ringback)
            won.cancel()
            for leg in legs:
                give_up(leg)

    def _ring(
        self, number: twiml.DialledNumber, verb: twiml.Dial, url: str | None, won: "asyncio.Future[Call]"
    ) -> Call:
        async def answered(program: "Program") -> None:
            if number.url:
                await program.run_at(twiml.resolve(url, number.url), number.method)
            if not program.hung_up and not won.done():
                won.set_result(program.call)
                await program.call.over.wait()

        request = self._call.request
        return self._dialler.place(
            CallRequest(
                to=number.phone,
                caller=verb.caller_id or request.caller,
                timeout_s=round(verb.timeout_s),
                status_callback=twiml.resolve(url, number.status_callback) if number.status_callback else None,
                status_callback_method=number.status_callback_method,
                status_callback_events=number.status_callback_events,
                direction="outbound-dial",
                parent_sid=self._call.sid,
            ),
            answered,
        )

    async def _talk(self, other: Call) -> None:
        mine, theirs = BridgeEnd(other.sid), BridgeEnd(self._call.sid)
        mine.other, theirs.other = theirs, mine
        self._call.line.attach(mine)
        other.line.attach(theirs)
        try:
            await other.over.wait()
        finally:
            self._call.line.detach(mine)
            other.line.detach(theirs)


def give_up(leg: Call) -> None:
    """End a leg that was dialled, whatever it does; harmless when it has ended."""
    if leg.answered_s is not None:
        leg.end("completed", SIP_OK, "the dialling call")
    else:
        leg.end("canceled", SIP_CANCELLED, "the dialling call")


def _nobody(legs: list[Call]) -> dict[str, str]:
    """What is said of phones of which none was joined: the last one's fate, which is no-answer if it picked up."""
    last = legs[-1]
    status = last.status if last.status in UNANSWERED else "no-answer"
    return {"DialCallStatus": status, "DialCallSid": last.sid}


def with_resolved_urls(settings: JoinSettings, url: str | None) -> JoinSettings:
    """The same settings with URLs that no longer depend on their document. Raises CallFault 11100."""

    def absolute(given: str | None) -> str | None:
        return twiml.resolve(url, given) if given else given

    return replace(
        settings,
        wait_url=absolute(settings.wait_url),
        status_callback=absolute(settings.status_callback),
        recording_callback=absolute(settings.recording_callback),
    )
