"""The account's phone numbers over REST: what a call to each of them does, and other numbers it may call from."""

from typing import cast

from aiohttp import web

from breeze_buddy.simulator.account import E164, Account, CallerId, Number
from breeze_buddy.simulator.call_parameters import BAD_URL, Form, read_method
from breeze_buddy.simulator.errors import ApiError, not_found
from breeze_buddy.simulator.pages import page_of
from breeze_buddy.simulator.program import is_http_url
from breeze_buddy.simulator.rest import ROOT, check_credentials

URLS = {
    "VoiceUrl": "voice_url",
    "VoiceFallbackUrl": "voice_fallback_url",
    "StatusCallback": "status_callback",
}
METHODS = {
    "VoiceMethod": "voice_method",
    "VoiceFallbackMethod": "voice_fallback_method",
    "StatusCallbackMethod": "status_callback_method",
}


class NumberRoutes:
    """`/IncomingPhoneNumbers` and `/OutgoingCallerIds`."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def add_to(self, app: web.Application) -> None:
        """Register the routes."""
        router = app.router
        router.add_get(ROOT + "/IncomingPhoneNumbers.json", self.list_numbers)
        router.add_get(ROOT + "/IncomingPhoneNumbers/{sid}.json", self.read_number)
        router.add_post(ROOT + "/IncomingPhoneNumbers/{sid}.json", self.update_number)
        router.add_get(ROOT + "/OutgoingCallerIds.json", self.list_caller_ids)

    async def list_numbers(self, request: web.Request) -> web.Response:
        """`GET …/IncomingPhoneNumbers.json`, by PhoneNumber if asked."""
        check_credentials(request, self._account)
        wanted = request.query.get("PhoneNumber", "")
        numbers = [number for number in self._account.numbers.values() if wanted in number.phone]
        return web.json_response(
            page_of(
                numbers,
                path=request.path,
                query=request.query,
                key="incoming_phone_numbers",
                show=self._account.number_resource,
            )
        )

    async def read_number(self, request: web.Request) -> web.Response:
        """`GET …/IncomingPhoneNumbers/{Sid}.json`."""
        check_credentials(request, self._account)
        return web.json_response(self._account.number_resource(self._number(request)))

    async def update_number(self, request: web.Request) -> web.Response:
        """`POST …/IncomingPhoneNumbers/{Sid}.json`: its URLs and its name."""
        check_credentials(request, self._account)
        number = self._number(request)
        form = cast(Form, await request.post())
        settings: dict[str, str] = {}
        for name, field in URLS.items():
            if name in form:
                if form[name] and not is_http_url(form[name]):
                    raise ApiError(BAD_URL, f"{name} is not a valid URL: {form[name]}")
                settings[field] = form[name]
        for name, field in METHODS.items():
            if name in form:
                settings[field] = read_method(form, name)
        if "FriendlyName" in form:
            settings["friendly_name"] = form["FriendlyName"]
        self._account.set_up(number.phone, settings)
        return web.json_response(self._account.number_resource(number))

    async def list_caller_ids(self, request: web.Request) -> web.Response:
        """`GET …/OutgoingCallerIds.json`: numbers that may be called from although they are somebody else's.

        While no number is registered every From is accepted, so any number that is asked for is among them.
        """
        check_credentials(request, self._account)
        wanted = request.query.get("PhoneNumber", "")
        phones = [phone for phone in sorted(self._account.verified) if wanted in phone]
        if not self._account.numbers and E164.fullmatch(wanted) and wanted not in phones:
            phones.append(wanted)
        return web.json_response(
            page_of(
                [CallerId(phone) for phone in phones],
                path=request.path,
                query=request.query,
                key="outgoing_caller_ids",
                show=self._account.caller_id_resource,
            )
        )

    def _number(self, request: web.Request) -> Number:
        for number in self._account.numbers.values():
            if number.sid == request.match_info["sid"]:
                return number
        raise not_found(request.path)
