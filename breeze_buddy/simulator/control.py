"""The simulator's own interface under /simulator: who answers, which faults, and the witness record. Not Twilio's.

It needs no credentials: the simulator listens on this machine only, unless told otherwise.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, TypeAdapter, ValidationError

from breeze_buddy.simulator.exchange import Exchange
from breeze_buddy.simulator.faults import ActiveFault, Fault
from breeze_buddy.simulator.people import OwnNumber, Person

T = TypeVar("T")
_people = TypeAdapter(list[Person])
_faults = TypeAdapter(list[Fault])
_numbers = TypeAdapter(list[str | OwnNumber])


class ControlRoutes:
    """`/simulator/…`."""

    def __init__(self, exchange: Exchange, *, on_people: Callable[[list[Person]], None], seed: int) -> None:
        self._exchange = exchange
        self._on_people = on_people
        self._seed = seed

    def add_to(self, app: web.Application) -> None:
        """Register the routes."""
        router = app.router
        router.add_get("/simulator/health", self.health)
        router.add_get("/simulator/people", self.people)
        router.add_post("/simulator/people", self.put_people)
        router.add_get("/simulator/numbers", self.numbers)
        router.add_post("/simulator/numbers", self.put_numbers)
        router.add_get("/simulator/faults", self.faults)
        router.add_post("/simulator/faults", self.put_faults)
        router.add_delete("/simulator/faults", self.clear_faults)
        router.add_delete("/simulator/faults/{id}", self.clear_faults)
        router.add_get("/simulator/calls", self.calls)
        router.add_get("/simulator/calls/{sid}", self.call)
        router.add_get("/simulator/summary", self.summary)
        router.add_post("/simulator/reset", self.reset)

    async def health(self, _: web.Request) -> web.Response:
        """Ready, with the number of live calls."""
        live = len(self._exchange.calls.live())
        return web.json_response({"status": "ok", "live_calls": live, "seed": self._seed})

    async def people(self, _: web.Request) -> web.Response:
        """Everyone known by name."""
        return web.json_response([_plain(person) for person in self._exchange.directory.all()])

    async def put_people(self, request: web.Request) -> web.Response:
        """Add people or replace those with the same phone; ``?replace=true`` forgets all others."""
        people = _read(_people, await _json(request))
        if request.query.get("replace") == "true":
            self._exchange.directory.replace(people)
        else:
            self._exchange.directory.put(people)
        self._on_people(people)
        return web.json_response({"people": len(self._exchange.directory.all())})

    async def numbers(self, _: web.Request) -> web.Response:
        """The account's numbers."""
        return web.json_response(list(self._exchange.account.numbers))

    async def put_numbers(self, request: web.Request) -> web.Response:
        """Register numbers, alone or with what calls to them do; ``?replace=true`` gives up all others.

        An account without numbers calls from anywhere.
        """
        account = self._exchange.account
        given = _read(_numbers, await _json(request))
        numbers = [OwnNumber(phone=one) if isinstance(one, str) else one for one in given]
        if request.query.get("replace") == "true":
            account.set_numbers([number.phone for number in numbers])
        for number in numbers:
            account.set_up(number.phone, number.model_dump(exclude={"phone"}, exclude_unset=True))
        return web.json_response(list(account.numbers))

    async def faults(self, _: web.Request) -> web.Response:
        """Faults in force, with how often each has happened."""
        return web.json_response([_fault(entry) for entry in self._exchange.faults.active.values()])

    async def put_faults(self, request: web.Request) -> web.Response:
        """Put one fault, or a list of them, in force."""
        content = await _json(request)
        faults = _read(_faults, content if isinstance(content, list) else [content])
        return web.json_response([_fault(self._exchange.faults.add(fault)) for fault in faults], status=201)

    async def clear_faults(self, request: web.Request) -> web.Response:
        """Lift one fault, or all."""
        return web.json_response({"lifted": self._exchange.faults.clear(request.match_info.get("id"))})

    async def calls(self, request: web.Request) -> web.Response:
        """The witness record, oldest first; ``to``, ``status``, ``limit`` and ``offset`` narrow it."""
        query = request.query
        log = self._exchange.calls
        wanted = log.by_to.get(query["to"], []) if "to" in query else list(log.by_sid.values())
        if "status" in query:
            wanted = [call for call in wanted if call.status == query["status"]]
        offset, limit = int(query.get("offset", "0")), int(query.get("limit", "10000"))
        return web.json_response([self._witness(call.sid) for call in wanted[offset : offset + limit]])

    async def call(self, request: web.Request) -> web.Response:
        """The witness record of one call."""
        if request.match_info["sid"] not in self._exchange.calls.by_sid:
            raise web.HTTPNotFound
        return web.json_response(self._witness(request.match_info["sid"]))

    async def summary(self, _: web.Request) -> web.Response:
        """Counts by status, and the most calls ever live at once for each callee, caller and number of ours."""
        log = self._exchange.calls
        by_status: dict[str, int] = {}
        for call in log.by_sid.values():
            by_status[call.status] = by_status.get(call.status, 0) + 1
        return web.json_response(
            {
                "calls": len(log.by_sid),
                "by_status": by_status,
                "max_live_by_callee": log.max_live_by_callee,
                "max_live_by_caller": log.max_live_by_caller,
                "max_live_by_number": log.max_live_by_number,
                "late_ticks": self._exchange.clock.late_ticks,
            }
        )

    async def reset(self, request: web.Request) -> web.Response:
        """End live calls without a word, forget calls, recordings and faults; ``?people=true`` forgets people too."""
        await self._exchange.reset()
        if request.query.get("people") == "true":
            self._exchange.directory.replace([])
        return web.json_response({"status": "ok"})

    def _witness(self, sid: str) -> dict[str, Any]:
        call = self._exchange.calls.by_sid[sid]
        recordings = self._exchange.studio.recordings.of_call(sid)
        return call.witness() | {
            "recordings": [
                {"sid": r.sid, "status": r.status, "channels": r.channels, "duration_s": round(r.duration_s, 2)}
                for r in recordings
            ]
        }


def _fault(entry: ActiveFault) -> dict[str, Any]:
    return {"id": entry.id, "seen": entry.seen, "done": entry.done, **entry.fault.model_dump()}


def _plain(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(mode="json", exclude_defaults=True)


async def _json(request: web.Request) -> Any:
    try:
        return await request.json()
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"The body is not JSON: {error}") from error


def _read(adapter: TypeAdapter[T], content: Any) -> T:
    try:
        return adapter.validate_python(content)
    except ValidationError as error:
        raise web.HTTPUnprocessableEntity(text=str(error)) from error
