"""What tests of conferences share: documents, requests, and waiting for the simulator's own state."""

import asyncio
from collections.abc import Callable
from typing import Any

OUR_NUMBER = "+14155550100"
SILENT = {"behaviour": "silent", "ring_s": 0, "max_call_s": 60}


class Watch:
    """A member of the audio clock that looks every 20 ms whether something has come true."""

    def __init__(self, condition: Callable[[], Any]) -> None:
        self.found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._condition = condition

    def tick(self) -> None:
        if not self.found.done() and (value := self._condition()):
            self.found.set_result(value)


async def until(lab: Any, condition: Callable[[], Any], timeout_s: float = 10) -> Any:
    """Wait until ``condition()`` is true; its value."""
    watch, clock = Watch(condition), lab.simulator.exchange.clock
    clock.join(watch)
    try:
        async with asyncio.timeout(timeout_s):
            return await watch.found
    finally:
        clock.leave(watch)


async def until_joined(lab: Any, sid: str) -> Any:
    """Wait until this call sits in a conference; its seat."""
    rooms = lab.simulator.exchange.conferences.by_sid

    def joined() -> Any:
        return next((seat for room in rooms.values() for seat in room.seats if seat.call.sid == sid), None)

    return await until(lab, joined)


async def until_heard(lab: Any, sid: str, *sources: str, sounding_s: float = 0.3) -> None:
    """Wait until this leg really hears exactly these, for so long."""

    def heard() -> bool:
        audible = lab.simulator.exchange.calls.by_sid[sid].line.ear.audible()
        return bool(audible) and set(audible[-1]["sources"]) == set(sources) and audible[-1]["sounding_s"] >= sounding_s

    await until(lab, heard)


def conference(name: str = "room", after: str = "", dial: str = "", **attributes: str) -> str:
    """TwiML that takes a call into a conference."""
    inside = "".join(f' {attribute}="{value}"' for attribute, value in attributes.items())
    return f"<Response><Dial{dial}><Conference{inside}>{name}</Conference></Dial>{after}</Response>"


def root(lab: Any) -> str:
    return f"/2010-04-01/Accounts/{lab.simulator.account.sid}"


async def invite(lab: Any, to: str, name: str = "room", status: int | None = 201, **parameters: str) -> Any:
    """`POST …/Participants`."""
    form = [("To", to), ("From", OUR_NUMBER), *parameters.items()]
    return await lab.post(f"{root(lab)}/Conferences/{name}/Participants.json", form, status)


async def change(lab: Any, sid: str, name: str = "room", **parameters: str) -> Any:
    """`POST …/Participants/{CallSid}`."""
    return await lab.post(f"{root(lab)}/Conferences/{name}/Participants/{sid}.json", parameters, 200)


async def hear(lab: Any, sid: str) -> Any:
    """The witness of what a leg heard."""
    return await lab.get(f"/simulator/calls/{sid}/heard")


def sources(heard: Any) -> list[tuple[str, ...]]:
    """What could be heard, one after the other."""
    return [tuple(interval["sources"]) for interval in heard["audible"]]


def events(requests: Any) -> list[str]:
    """The conference events that a customer was told."""
    return [request.form["StatusCallbackEvent"] for request in requests]
