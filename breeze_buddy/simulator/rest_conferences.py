"""Conferences and their participants over REST, as Twilio's 2010-04-01 API has them."""

from collections.abc import Iterator
from typing import cast

from aiohttp import web

from breeze_buddy.simulator.call_parameters import BAD_PARAMETER, Form, read_method, read_url
from breeze_buddy.simulator.conference import Conference, Seat
from breeze_buddy.simulator.conference_parameters import coached, participant_request, yes
from breeze_buddy.simulator.conferences import conference_resource, participant_resource
from breeze_buddy.simulator.dates import parse_filter
from breeze_buddy.simulator.errors import ApiError, not_found
from breeze_buddy.simulator.exchange import Exchange
from breeze_buddy.simulator.faults import Fault
from breeze_buddy.simulator.pages import page_of
from breeze_buddy.simulator.rest import ROOT, check_credentials, comes_after, fail

CONFERENCE = ROOT + "/Conferences/{conference}"
STATUSES = ("init", "in-progress", "completed")


class ConferenceRoutes:
    """`/Conferences` and `/Conferences/{Name or Sid}/Participants`."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._rooms = exchange.conferences
        self._requests: dict[str, int] = {}

    def add_to(self, app: web.Application) -> None:
        """Register the routes."""
        router = app.router
        router.add_get(ROOT + "/Conferences.json", self.list)
        router.add_get(CONFERENCE + ".json", self.read)
        router.add_post(CONFERENCE + ".json", self.update)
        router.add_post(CONFERENCE + "/Participants.json", self.invite)
        router.add_get(CONFERENCE + "/Participants.json", self.participants)
        router.add_get(CONFERENCE + "/Participants/{participant}.json", self.participant)
        router.add_post(CONFERENCE + "/Participants/{participant}.json", self.update_participant)
        router.add_delete(CONFERENCE + "/Participants/{participant}.json", self.kick)

    async def list(self, request: web.Request) -> web.Response:
        """`GET …/Conferences.json` with FriendlyName, Status and the DateCreated and DateUpdated filters."""
        check_credentials(request, self._exchange.account)
        if (status := request.query.get("Status")) is not None and status not in STATUSES:
            raise ApiError(BAD_PARAMETER, f"Status is one of {', '.join(STATUSES)}")
        return web.json_response(
            page_of(
                self._filtered(request),
                path=request.path,
                query=request.query,
                key="conferences",
                show=conference_resource,
            )
        )

    async def read(self, request: web.Request) -> web.Response:
        """`GET …/Conferences/{Sid}.json`."""
        check_credentials(request, self._exchange.account)
        return web.json_response(conference_resource(self._conference(request)))

    async def update(self, request: web.Request) -> web.Response:
        """`POST …/Conferences/{Sid}.json`: end it, or announce something to all."""
        check_credentials(request, self._exchange.account)
        conference = self._conference(request)
        form = cast(Form, await request.post())
        to = conference.roster[0].call.to
        fault = self._fault("update_", to, "conference")
        if fault is not None and not comes_after(fault):
            return await fail(request, fault)
        if (status := form.get("Status")) is not None:
            if status != "completed":
                raise ApiError(BAD_PARAMETER, "Status is completed")
            conference.end()
        if (url := read_url(form, "AnnounceUrl")) is not None and conference.is_live:
            self._rooms.announce(conference, None, url, read_method(form, "AnnounceMethod"))
        if fault is not None:
            return await fail(request, fault)
        return web.json_response(conference_resource(conference))

    async def invite(self, request: web.Request) -> web.Response:
        """`POST …/Participants.json`: dial somebody into it."""
        check_credentials(request, self._exchange.account)
        form = cast(Form, await request.post())
        given = request.match_info["conference"]
        conference = self._rooms.by_sid.get(given)
        if conference is None and is_sid(given):
            raise not_found(request.path)
        name = conference.name if conference else given
        parameters, settings = participant_request(form, self._exchange.account, name)
        if conference is not None and not conference.is_live:
            raise ApiError(BAD_PARAMETER, f"The conference {given} has ended")
        fault = self._fault("create_", parameters.to, "participant")
        if fault is not None and not comes_after(fault):
            return await fail(request, fault)
        conference, seat = self._exchange.invite(parameters, settings, conference)
        if fault is not None:
            return await fail(request, fault)
        return web.json_response(participant_resource(conference, seat), status=201)

    async def participants(self, request: web.Request) -> web.Response:
        """`GET …/Participants.json`: those who are in it and those being dialled, by Muted, Hold and Coaching."""
        check_credentials(request, self._exchange.account)
        conference = self._conference(request)
        query = request.query
        wanted = {name: query[name].lower() == "true" for name in ("Muted", "Hold", "Coaching") if name in query}

        def fits(seat: Seat) -> bool:
            is_so = {"Muted": seat.muted, "Hold": seat.hold, "Coaching": seat.coach is not None}
            return all(is_so[name] is value for name, value in wanted.items())

        return web.json_response(
            page_of(
                [seat for seat in present(conference) if fits(seat)],
                path=request.path,
                query=query,
                key="participants",
                show=lambda seat: participant_resource(conference, seat),
            )
        )

    async def participant(self, request: web.Request) -> web.Response:
        """`GET …/Participants/{CallSid or label}.json`."""
        check_credentials(request, self._exchange.account)
        return web.json_response(participant_resource(*self._seat(request)))

    async def update_participant(self, request: web.Request) -> web.Response:
        """`POST …/Participants/{CallSid or label}.json`: hold, mute, coach, announce, and what happens on exit."""
        check_credentials(request, self._exchange.account)
        conference, seat = self._seat(request)
        form = cast(Form, await request.post())
        fault = self._fault("update_", seat.call.to, "participant")
        if fault is not None and not comes_after(fault):
            return await fail(request, fault)
        self._apply(conference, seat, form)
        if fault is not None:
            return await fail(request, fault)
        return web.json_response(participant_resource(conference, seat))

    async def kick(self, request: web.Request) -> web.Response:
        """`DELETE …/Participants/{CallSid or label}.json`: out of the conference, or no longer dialled."""
        check_credentials(request, self._exchange.account)
        conference, seat = self._seat(request)
        self._exchange.kick(conference, seat)
        return web.Response(status=204)

    def _apply(self, conference: Conference, seat: Seat, form: Form) -> None:
        rooms = self._rooms
        coach = coached(form) if "Coaching" in form or "CallSidToCoach" in form else seat.coach
        if "Muted" in form and yes(form, "Muted") is not seat.muted:
            rooms.mute(conference, seat, yes(form, "Muted"))
        if "Hold" in form and yes(form, "Hold") is not seat.hold:
            if yes(form, "Hold"):
                url = read_url(form, "HoldUrl") or "" if "HoldUrl" in form else None
                rooms.hold(conference, seat, url, read_method(form, "HoldMethod", "GET"))
            else:
                rooms.unhold(conference, seat)
        if (url := read_url(form, "AnnounceUrl")) is not None:
            rooms.announce(conference, seat, url, read_method(form, "AnnounceMethod"))
        if (wait_url := read_url(form, "WaitUrl")) is not None:
            rooms.play_while_waiting(conference, seat, wait_url, read_method(form, "WaitMethod"))
        end_on_exit = yes(form, "EndConferenceOnExit", default=seat.end_on_exit)
        beeps_on_exit = yes(form, "BeepOnExit", default=seat.beeps_on_exit)
        before = (seat.end_on_exit, seat.beeps_on_exit, seat.coach)
        seat.end_on_exit, seat.beeps_on_exit, seat.coach = end_on_exit, beeps_on_exit, coach
        if before != (end_on_exit, beeps_on_exit, coach) or wait_url is not None:
            rooms.modified(conference, seat)

    def _fault(self, prefix: str, to: str, event: str) -> Fault | None:
        count = self._requests[to] = self._requests.get(to, 0) + 1
        return self._exchange.faults.strike(prefix, to=to, event=event, about=f"{event}/{count}")

    def _conference(self, request: web.Request) -> Conference:
        conference = self._rooms.find(request.match_info["conference"])
        if conference is None:
            raise not_found(request.path)
        return conference

    def _seat(self, request: web.Request) -> tuple[Conference, Seat]:
        conference, wanted = self._conference(request), request.match_info["participant"]
        for seat in present(conference):
            if wanted in (seat.call.sid, seat.settings.label):
                return conference, seat
        raise not_found(request.path)

    def _filtered(self, request: web.Request) -> Iterator[Conference]:
        query = request.query
        for conference in self._rooms.newest_first():
            if query.get("FriendlyName", conference.name) != conference.name:
                continue
            if query.get("Status", conference.status) != conference.status:
                continue
            if all(_is_within(conference, name, value) for name, value in query.items() if name.startswith("Date")):
                yield conference


def present(conference: Conference) -> "list[Seat]":
    """Who is in it or being dialled; nobody once it has ended."""
    return [*conference.seats, *conference.invited] if conference.is_live else []


def is_sid(text: str) -> bool:
    """Whether this can only be a conference's SID."""
    return len(text) == 34 and text.startswith("CF")


def _is_within(conference: Conference, name: str, value: str) -> bool:
    moment = int(conference.created_s if name.startswith("DateCreated") else conference.updated_s)
    try:
        limit_s = parse_filter(value)
    except ValueError as error:
        raise ApiError(BAD_PARAMETER, f"{name} is a date (YYYY-MM-DD) or an ISO 8601 time") from error
    if name.endswith(">"):
        return moment >= limit_s
    if name.endswith("<"):
        return moment < limit_s + 86_400
    return limit_s <= moment < limit_s + 86_400
