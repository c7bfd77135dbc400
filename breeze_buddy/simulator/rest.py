"""The account and its calls over REST, as Twilio's 2010-04-01 API has them."""

import asyncio
import base64
import binascii
import hmac
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import cast

from aiohttp import web

from breeze_buddy.simulator.account import Account
from breeze_buddy.simulator.call_parameters import BAD_PARAMETER, Form, call_request, check_source
from breeze_buddy.simulator.calls import Call
from breeze_buddy.simulator.dates import now_s, parse_filter
from breeze_buddy.simulator.errors import ApiError, not_found
from breeze_buddy.simulator.exchange import Exchange
from breeze_buddy.simulator.faults import Fault
from breeze_buddy.simulator.pages import page_of
from breeze_buddy.simulator.program import Document

log = logging.getLogger(__name__)

ROOT = "/2010-04-01/Accounts/{account}"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def twilio_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns refusals into Twilio's error bodies."""
    try:
        return await handler(request)
    except ApiError as error:
        return web.json_response(error.body(), status=error.status)
    except web.HTTPNotFound:
        return web.json_response(not_found(request.path).body(), status=404)
    except web.HTTPMethodNotAllowed:
        refusal = ApiError(20004, f"Method {request.method} is not allowed on {request.path}", 405)
        return web.json_response(refusal.body(), status=405)


def check_credentials(request: web.Request, account: Account) -> None:
    """Basic authentication with the account's SID and token. Raises ApiError 20003."""
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    try:
        user, _, password = base64.b64decode(given, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        user = password = ""
    right = (
        kind.lower() == "basic"
        and hmac.compare_digest(user.encode(), account.sid.encode())
        and hmac.compare_digest(password.encode(), account.auth_token.encode())
    )
    if not right:
        raise ApiError(20003, "Authenticate", 401)
    if request.match_info.get("account", account.sid) != account.sid:
        raise not_found(request.path)


class CallRoutes:
    """The account and its calls."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._account = exchange.account

    def add_to(self, app: web.Application) -> None:
        """Register the routes."""
        router = app.router
        router.add_get("/2010-04-01/Accounts/{account}.json", self.read_account)
        router.add_post(ROOT + "/Calls.json", self.create)
        router.add_get(ROOT + "/Calls.json", self.list)
        router.add_get(ROOT + "/Calls/{sid}.json", self.read)
        router.add_post(ROOT + "/Calls/{sid}.json", self.update)

    async def read_account(self, request: web.Request) -> web.Response:
        """`GET /Accounts/{Sid}.json`."""
        check_credentials(request, self._account)
        return web.json_response(self._account.resource())

    async def create(self, request: web.Request) -> web.Response:
        """`POST …/Calls.json`."""
        check_credentials(request, self._account)
        form = cast(Form, await request.post())
        parameters = call_request(form, self._account)
        self._exchange.calls.creates_by_callee[parameters.to] += 1
        about = str(self._exchange.calls.creates_by_callee[parameters.to])
        fault = self._exchange.faults.strike("create_", to=parameters.to, event="create", about=about)
        if fault is not None and not comes_after(fault):
            return await fail(request, fault)
        call = self._exchange.place(parameters)
        if fault is not None:
            return await fail(request, fault)
        return web.json_response(call.resource(), status=201)

    async def list(self, request: web.Request) -> web.Response:
        """`GET …/Calls.json` with To, From, Status and the StartTime and EndTime filters."""
        check_credentials(request, self._account)
        calls = self._filtered(request)
        return web.json_response(
            page_of(calls, path=request.path, query=request.query, key="calls", show=lambda call: call.resource())
        )

    async def read(self, request: web.Request) -> web.Response:
        """`GET …/Calls/{Sid}.json`."""
        check_credentials(request, self._account)
        return web.json_response(self._call(request).resource())

    async def update(self, request: web.Request) -> web.Response:
        """`POST …/Calls/{Sid}.json`: hang up, cancel, or do something else."""
        check_credentials(request, self._account)
        call = self._call(request)
        form = cast(Form, await request.post())
        call.updates += 1
        fault = self._exchange.faults.strike(
            "update_", to=call.to, event="update", about=f"{call.attempt}/{call.updates}"
        )
        if fault is not None and not comes_after(fault):
            return await fail(request, fault)
        await self._apply(call, form, request.path)
        if fault is not None:
            return await fail(request, fault)
        return web.json_response(call.resource())

    async def _apply(self, call: Call, form: Form, path: str) -> None:
        status = form.get("Status")
        if status is None:
            check_source(form)
            url, method = form.get("Url") or None, (form.get("Method") or "POST").upper()
            self._exchange.redirect(call, Document(url, method, None if url else form.get("Twiml")))
            return
        if status not in ("completed", "canceled"):
            raise ApiError(BAD_PARAMETER, "Status is completed or canceled")
        if not call.is_live:
            raise not_found(path)
        if status == "completed":
            await self._exchange.hang_up(call)
        else:
            await self._exchange.cancel(call)

    def _call(self, request: web.Request) -> Call:
        call = self._exchange.calls.by_sid.get(request.match_info["sid"])
        if call is None:
            raise not_found(request.path)
        return call

    def _filtered(self, request: web.Request) -> Iterator[Call]:
        query, now = request.query, now_s()
        bounds = [_bound(name, value) for name, value in query.items() if name.startswith(("StartTime", "EndTime"))]
        for call in self._exchange.calls.newest_first(query.get("To")):
            if query.get("From", call.caller) != call.caller or query.get("Status", call.status) != call.status:
                continue
            if call.visible_from_s <= now and all(is_within(call) for is_within in bounds):
                yield call


def _bound(name: str, value: str) -> Callable[[Call], bool]:
    """A filter on a time; the calls of a bare date when there is no comparison. Bounds are inclusive."""
    field, comparison = name.rstrip("<>"), name[-1]
    try:
        limit_s = parse_filter(value)
    except ValueError as error:
        raise ApiError(BAD_PARAMETER, f"{name} is a date (YYYY-MM-DD) or an ISO 8601 time") from error

    def is_within(call: Call) -> bool:
        # A queued call has no start time yet; it is found by its creation, so that a search by time sees it.
        moment = (call.dialled_s or call.created_s) if field == "StartTime" else call.ended_s
        if moment is None:
            return False
        moment = int(moment)
        if comparison == ">":
            return moment >= limit_s
        if comparison == "<":
            return moment <= limit_s
        return limit_s <= moment < limit_s + 86_400

    return is_within


def comes_after(fault: Fault) -> bool:
    """Whether the fault hides the answer to something that was done."""
    return fault.kind.endswith("_after")


async def fail(request: web.Request, fault: Fault) -> web.Response:
    """Answer as the fault demands; the connection is gone when this returns for some of them."""
    how = fault.kind.partition("_")[2]
    if how == "429":
        return web.json_response(ApiError(20429, "Too Many Requests", 429).body(), status=429)
    if how == "5xx":
        return web.json_response(
            ApiError(20500, "An internal server error has occurred", fault.status).body(), status=fault.status
        )
    if how.startswith("timeout"):
        await asyncio.sleep(fault.delay_s)
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)
