"""People who call us: one arrival rings at a number of the account, whose instructions answer or reject it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import Field

from breeze_buddy.simulator.account import Account, Number
from breeze_buddy.simulator.calls import Call, CallLog, CallRequest
from breeze_buddy.simulator.dates import now_s
from breeze_buddy.simulator.people import Behaviour, Directory, Strict
from breeze_buddy.simulator.program import Document, Program, Studio

SIP_CANCELLED, SIP_NO_INSTRUCTIONS = 487, 404
NO_INSTRUCTIONS = 11100
TIME_LIMIT_S = 14_400.0


class InboundRequest(Strict):
    """Somebody calls one of our numbers, or many do.

    ``from`` is the caller; with ``count`` above 1 the others have the numbers after it, and all have its voice.
    ``spread_s`` is the time over which they begin to ring. ``behaviour`` is what they do once answered; without it,
    what the scenario says of them. A caller who is not answered gives up after ``gives_up_after_s``.
    """

    caller: str = Field(alias="from", pattern=r"^\+[1-9]\d{6,14}$")
    to: str = Field(pattern=r"^\+[1-9]\d{6,14}$")
    behaviour: Behaviour | None = None
    count: int = Field(1, ge=1, le=5000)
    spread_s: float = Field(0.0, ge=0)
    gives_up_after_s: float = Field(60.0, gt=0)


class Switchboard(Protocol):
    """What an arrival needs of the exchange."""

    account: Account
    directory: Directory
    studio: Studio
    calls: CallLog

    async def clips_of(self, behaviour: Behaviour, phone: str) -> dict[str, bytes]:
        """What somebody may have to say, rendered in the voice of that phone."""

    def pick_up(self, call: Call, behaviour: Behaviour, clips: dict[str, bytes]) -> Any:
        """The call is answered."""

    def do(
        self,
        call: Call,
        work: Callable[[Program], Awaitable[None]],
        pick_up: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Carry out instructions."""

    async def limit(self, call: Call, limit_s: float) -> None:
        """Wait for the end of an answered call."""


@dataclass
class Arrival:
    """One inbound call."""

    exchange: Switchboard
    call: Call
    behaviour: Behaviour
    gives_up_after_s: float
    voice_of: str
    delay_s: float = 0.0

    async def go(self, call: Call) -> None:
        """Ring, be answered or not, and talk."""
        exchange, request = self.exchange, call.request
        call.dialled_s = call.ringing_s = now_s()
        call.change("ringing")
        if not request.url:
            call.notify(NO_INSTRUCTIONS, f"The number {call.to} has no voice URL")
            call.end("failed", SIP_NO_INSTRUCTIONS, "the network")
            return
        document = Document(request.url, request.method)
        preparing = asyncio.ensure_future(exchange.clips_of(self.behaviour, self.voice_of))

        async def pick_up() -> None:
            clips = await preparing
            if call.ending is None:
                exchange.pick_up(call, self.behaviour, clips)

        try:
            exchange.do(call, lambda program: program.run(document, announce_trial=False), pick_up)
            if await call.ends_within(self.gives_up_after_s):
                return
            if call.answered_s is None:
                call.end("no-answer", SIP_CANCELLED, "the caller gave up")
            else:
                await exchange.limit(call, TIME_LIMIT_S)
        finally:
            preparing.cancel()


@dataclass
class Arrivals:
    """Makes the calls of those who call us."""

    exchange: Switchboard

    def of(self, request: InboundRequest, number: Number) -> list[Arrival]:
        """The calls of a request, in the order in which they will ring."""
        made: list[Arrival] = []
        seen = self.exchange.calls.arrivals_by_caller
        for place in range(request.count):
            caller = f"+{int(request.caller[1:]) + place}"
            person = self.exchange.directory.at(caller)
            seen[caller] += 1
            behaviour = request.behaviour or person.behaviour_for(seen[caller])
            call = Call(self.exchange.account.sid, call_request(number, caller), seen[caller], number.sid)
            call.person, call.behaviour = person.name, behaviour.behaviour
            delay_s = request.spread_s * place / request.count
            call.created_s += delay_s
            made.append(Arrival(self.exchange, call, behaviour, request.gives_up_after_s, request.caller, delay_s))
        return made


def call_request(number: Number, caller: str) -> CallRequest:
    """What a call to this number does, by the number's settings; its status callback hears of the end only."""
    return CallRequest(
        to=number.phone,
        caller=caller,
        direction="inbound",
        url=number.voice_url or None,
        method=number.voice_method,
        fallback_url=number.voice_fallback_url or None,
        fallback_method=number.voice_fallback_method,
        status_callback=number.status_callback or None,
        status_callback_method=number.status_callback_method,
    )
