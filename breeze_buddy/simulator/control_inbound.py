"""The part of the simulator's own interface that is about calling us, and about who could hear whom."""

from typing import Any

from aiohttp import web
from pydantic import ValidationError

from breeze_buddy.simulator.calls import Call
from breeze_buddy.simulator.conferences import conference_witness
from breeze_buddy.simulator.dates import iso
from breeze_buddy.simulator.ear import HEARD, SPOKE
from breeze_buddy.simulator.exchange import Exchange
from breeze_buddy.simulator.inbound import Arrivals, InboundRequest


class InboundRoutes:
    """`/simulator/inbound`, `/simulator/calls/{sid}/heard` and `/simulator/conferences`."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._arrivals = Arrivals(exchange)

    def add_to(self, app: web.Application) -> None:
        """Register the routes."""
        router = app.router
        router.add_post("/simulator/inbound", self.inbound)
        router.add_get("/simulator/calls/{sid}/heard", self.heard)
        router.add_get("/simulator/conferences", self.conferences)
        router.add_get("/simulator/conferences/{sid}", self.conference)

    async def inbound(self, request: web.Request) -> web.Response:
        """Somebody calls one of our numbers; the SIDs of the calls, in the order in which they ring."""
        try:
            asked = InboundRequest.model_validate_json(await request.read())
        except ValidationError as error:
            raise web.HTTPUnprocessableEntity(text=str(error)) from error
        number = self._exchange.account.numbers.get(asked.to)
        if number is None:
            raise web.HTTPUnprocessableEntity(text=f"{asked.to} is not a number of the account; see /simulator/numbers")
        arrivals = self._arrivals.of(asked, number)
        for arrival in arrivals:
            self._exchange.receive(arrival)
        return web.json_response({"calls": [arrival.call.sid for arrival in arrivals]}, status=201)

    async def heard(self, request: web.Request) -> web.Response:
        """Who and what one leg could hear, and did."""
        call = self._exchange.calls.by_sid.get(request.match_info["sid"])
        if call is None:
            raise web.HTTPNotFound
        return web.json_response(self._heard(call))

    async def conferences(self, request: web.Request) -> web.Response:
        """Every conference there was, oldest first; ``name`` narrows it."""
        name = request.query.get("name")
        rooms = self._exchange.conferences.by_sid.values()
        return web.json_response([conference_witness(room) for room in rooms if name in (None, room.name)])

    async def conference(self, request: web.Request) -> web.Response:
        """One conference, by SID, or the live one of a name."""
        found = self._exchange.conferences.find(request.match_info["sid"])
        if found is None:
            raise web.HTTPNotFound
        return web.json_response(conference_witness(found))

    def _heard(self, call: Call) -> dict[str, Any]:
        ear = call.line.ear
        rooms = self._exchange.conferences.by_sid.values()
        return {
            "sid": call.sid,
            "answered": iso(call.answered_s),
            "answered_at_s": call.answered_s,
            "on_the_line_s": round(ear.clock_s, 2),
            "ringing": iso(call.ringing_s),
            "ringing_stopped": iso(call.answered_s or call.ended_s) if call.ringing_s else None,
            "audible": ear.audible(),
            "sound": ear.spans(HEARD),
            "silence": ear.spans(HEARD, present=False),
            "spoke": ear.spans(SPOKE),
            "alone": [
                {
                    "conference_sid": room.sid,
                    "start_s": round(one["start"] - (call.answered_s or 0.0), 3),
                    "end_s": round(one["end"] - (call.answered_s or 0.0), 3),
                    "dialling_s": round(one["dialling_s"], 3),
                }
                for room in rooms
                for one in room.alone()
                if one["call_sid"] == call.sid
            ],
        }
