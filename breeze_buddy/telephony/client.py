"""Twilio's REST API, as far as a campaign needs it, on the official client.

One `Twilio` serves one event loop. Every error is a `TelephonyError`, whose `failure` says what to do.
"""

import json
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Self

import aiohttp
from twilio.rest import Client  # type: ignore[import-untyped]

from breeze_buddy.domain.call import CallFacts, FailureClass
from breeze_buddy.domain.phone import mask
from breeze_buddy.domain.recording import RecordingFacts
from breeze_buddy.telephony import words
from breeze_buddy.telephony.account import AccountFacts, OwnedNumber, owned_number
from breeze_buddy.telephony.errors import CALL_NOT_IN_PROGRESS, NoAnswer, NotFound, Refusal, TelephonyError, judge
from breeze_buddy.telephony.http import LOST, Http, refusal, why

STATUS_EVENTS = ("initiated", "ringing", "answered", "completed")
RECORDING_EVENTS = ("completed", "absent")
LONGEST_CALL_S = 14_400  # Twilio ends a call after that, whatever was asked for
CHUNK_BYTES = 64 * 1024
_NEWEST = 200  # calls looked at when an attempt is searched for; Twilio lists the newest first
_RUNNING = "Twilio.CURRENT"  # Twilio's name for the recording that runs on a call
_SID = re.compile(r"[A-Z]{2}[0-9A-Za-z]{1,40}")


@dataclass(frozen=True, slots=True)
class Twiml:
    """What the call does when it is answered, sent along with the request."""

    text: str


@dataclass(frozen=True, slots=True)
class AnswerUrl:
    """Where Twilio asks what to do when the call is answered, and whom it asks when that fails."""

    url: str
    fallback_url: str | None = None


@dataclass(frozen=True, slots=True)
class PlaceCall:
    """One call to place. Numbers are E.164; callbacks are absolute URLs, None for those not wanted."""

    to: str
    from_: str
    answer: Twiml | AnswerUrl
    status_callback: str
    recording_callback: str | None = None
    amd_callback: str | None = None
    ring_timeout_s: int = 30
    time_limit_s: int = 600

    def fields(self) -> dict[str, Any]:
        """The arguments of the official client."""
        fields: dict[str, Any] = {
            "to": self.to,
            "from_": self.from_,
            "timeout": self.ring_timeout_s,
            "time_limit": self.time_limit_s,
            "status_callback": self.status_callback,
            "status_callback_event": list(STATUS_EVENTS),
        }
        match self.answer:
            case Twiml(text):
                fields["twiml"] = text
            case AnswerUrl(url, fallback_url):
                fields["url"] = url
                if fallback_url is not None:
                    fields["fallback_url"] = fallback_url
        if self.recording_callback is not None:
            fields |= {
                "record": True,
                "recording_channels": "dual",
                "recording_status_callback": self.recording_callback,
                "recording_status_callback_event": list(RECORDING_EVENTS),
            }
        if self.amd_callback is not None:
            fields |= {
                "machine_detection": "Enable",
                "async_amd": "true",
                "async_amd_status_callback": self.amd_callback,
            }
        return fields


@dataclass(frozen=True, slots=True)
class NumberWebhooks:
    """Where Twilio asks what to do with a call to one of our numbers, whom it asks when that fails, and where it
    says how the call ended. Absolute URLs."""

    voice_url: str
    voice_fallback_url: str
    status_callback: str


class FoundCall(NamedTuple):
    """A call in Twilio's list. `created_at` is Twilio's clock, in whole seconds."""

    sid: str
    facts: CallFacts
    created_at: datetime


class Twilio:
    """`api_base_url` None: the real one. `timeout_s` bounds each request, connecting included."""

    def __init__(
        self, account_sid: str, auth_token: str, api_base_url: str | None = None, timeout_s: float = 10.0
    ) -> None:
        self._account_sid = account_sid
        self._auth_token = auth_token
        self._timeout_s = timeout_s
        self._http = Http(timeout_s=timeout_s)
        self._client = Client(account_sid or None, auth_token or None, http_client=self._http)
        if api_base_url is not None:
            self._client.api.base_url = api_base_url.rstrip("/")
            # An address given in full is meant in full, whatever TWILIO_EDGE and TWILIO_REGION say.
            self._client.edge = self._client.region = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections. The object can be used again afterwards, on any loop."""
        await self._http.close()

    async def place_call(self, call: PlaceCall) -> str:
        """Ask Twilio for a call, once, and return its CallSid.

        Raises TelephonyError. AMBIGUOUS means that the call may exist: look with `find_calls`, never ask again.
        """
        with self._asking("place the call", creates=True):
            created = await self._client.calls.create_async(**call.fields())
        if not created.sid:
            raise TelephonyError(
                "Twilio's answer names no call: the call may have been made", failure=FailureClass.AMBIGUOUS
            )
        return str(created.sid)

    async def fetch_call(self, sid: str) -> CallFacts:
        """What Twilio knows of a call. Raises NotFound, TelephonyError."""
        with self._asking("look the call up"):
            return words.call_facts(await self._client.calls(_checked(sid)).fetch_async())

    async def find_calls(self, to: str, from_: str, since: datetime) -> list[FoundCall]:
        """The calls between these numbers that Twilio made at `since` (aware) or later, the newest first.

        Twilio's list lags by moments, and its times are whole seconds of its own clock: start looking a
        little before the request was sent, and look again before concluding that there is no call.
        Twilio's filter by start time is left out, because a queued call has none.
        """
        from_second = since.replace(microsecond=0)
        with self._asking("look for the call"):
            listed = await self._client.calls.list_async(to=to, from_=from_, limit=_NEWEST)
        found = [
            FoundCall(str(call.sid), words.call_facts(call), call.date_created)
            for call in listed
            if call.sid and call.date_created and call.date_created >= from_second
        ]
        return sorted(found, key=lambda call: call.created_at, reverse=True)

    async def hang_up(self, sid: str) -> None:
        """End a call in whatever state it is; a call that has ended, or is not known, stays so.

        `completed` ends queued, ringing and answered calls. Should Twilio say that the call is not in
        progress, it is cancelled as well: that ends what is still queued or ringing and nothing else.
        """
        for status in ("completed", "canceled"):
            try:
                with self._asking("hang up"):
                    await self._client.calls(_checked(sid)).update_async(status=status)
            except NotFound:
                return
            except TelephonyError as error:
                if error.code != CALL_NOT_IN_PROGRESS:
                    raise
            else:
                return

    async def move_call(self, sid: str, text: str) -> None:
        """Have a live call carry out other TwiML from now on. Raises NotFound when it has ended, TelephonyError."""
        try:
            with self._asking("move the call"):
                await self._client.calls(_checked(sid)).update_async(twiml=text)
        except TelephonyError as error:
            if error.code == CALL_NOT_IN_PROGRESS:
                raise NotFound(
                    str(error), failure=error.failure, code=error.code, http_status=error.http_status
                ) from error
            raise

    async def in_conference(self, name: str) -> list[str]:
        """CallSids of everybody who is in the conference of that name now. Raises TelephonyError."""
        with self._asking("look into the conference"):
            found = await self._client.conferences.list_async(friendly_name=name, status="in-progress", limit=5)
            found += await self._client.conferences.list_async(friendly_name=name, status="init", limit=5)
            sids: list[str] = []
            for conference in found:
                participants = await self._client.conferences(conference.sid).participants.list_async(limit=20)
                sids += [participant.call_sid for participant in participants]
        return sids

    async def end_conference(self, name: str) -> None:
        """End a conference for everybody in it; one that is not on is no error. Raises TelephonyError."""
        with self._asking("look for the conference"):
            found = await self._client.conferences.list_async(friendly_name=name, status="in-progress", limit=5)
            found += await self._client.conferences.list_async(friendly_name=name, status="init", limit=5)
        for conference in found:
            try:
                with self._asking("end the conference"):
                    await self._client.conferences(conference.sid).update_async(status="completed")
            except NotFound:
                continue

    async def answer_calls_to(self, phone: str, webhooks: NumberWebhooks) -> None:
        """Set all webhooks of one of the account's numbers, in one request. Raises TelephonyError.

        CONFIGURATION when the account does not own the number.
        """
        with self._asking("set up the number"):
            owned = await self._client.incoming_phone_numbers.list_async(phone_number=phone, limit=_NEWEST)
            number = next((one for one in owned if one.phone_number == phone), None)
            if number is None:
                raise TelephonyError(
                    f"the Twilio account does not own {mask(phone)}: buy it there, or check TWILIO_ACCOUNT_SID",
                    failure=FailureClass.CONFIGURATION,
                )
            await self._client.incoming_phone_numbers(number.sid).update_async(
                voice_url=webhooks.voice_url,
                voice_method="POST",
                voice_fallback_url=webhooks.voice_fallback_url,
                voice_fallback_method="POST",
                status_callback=webhooks.status_callback,
                status_callback_method="POST",
            )

    async def account(self) -> AccountFacts:
        """The account that the credentials are of. Raises TelephonyError."""
        base = str(self._client.api.base_url).rstrip("/")
        with self._asking("look at the account"):
            answer = await self._client.request_async("GET", f"{base}/2010-04-01/Accounts/{self._account_sid}.json")
        said = json.loads(answer.text)
        return AccountFacts(
            name=str(said.get("friendly_name", "")),
            status=str(said.get("status", "")),
            trial=said.get("type") == "Trial",
            clock=words.moment(answer.headers.get("Date", "")),
        )

    async def owned(self, phone: str) -> OwnedNumber | None:
        """What the account's number does; None when the account does not own it. Raises TelephonyError."""
        with self._asking("look the number up"):
            listed = await self._client.incoming_phone_numbers.list_async(phone_number=phone, limit=_NEWEST)
        return next((owned_number(one) for one in listed if one.phone_number == phone), None)

    async def is_verified(self, phone: str) -> bool:
        """Whether the account may call from this number although it does not own it. Raises TelephonyError."""
        with self._asking("look the caller id up"):
            listed = await self._client.outgoing_caller_ids.list_async(phone_number=phone, limit=_NEWEST)
        return any(one.phone_number == phone for one in listed)

    async def fetch_recording(self, sid: str) -> RecordingFacts:
        """What Twilio knows of a recording. Raises NotFound, TelephonyError."""
        with self._asking("look the recording up"):
            recording = await self._client.recordings(_checked(sid)).fetch_async()
        return words.recording_facts(recording, self.recording_url(sid))

    async def recordings_of(self, call_sid: str) -> list[RecordingFacts]:
        """All recordings of a call. Raises NotFound, TelephonyError."""
        with self._asking("list the call's recordings"):
            listed = await self._client.calls(_checked(call_sid)).recordings.list_async(limit=_NEWEST)
        return [words.recording_facts(recording, self.recording_url(recording.sid)) for recording in listed]

    async def pause_recording(self, call_sid: str) -> None:
        """Have silence recorded on a live call from now on; one that is paused stays so. Raises NotFound (nothing is
        being recorded), TelephonyError."""
        await self._set_recording(call_sid, "pause the recording", status="paused", pause_behavior="silence")

    async def resume_recording(self, call_sid: str) -> None:
        """Record the sound of a live call again; a call that has ended, or is not recorded, stays so.

        Raises TelephonyError.
        """
        try:
            await self._set_recording(call_sid, "resume the recording", status="in-progress")
        except NotFound:
            return
        except TelephonyError as error:
            if error.code != CALL_NOT_IN_PROGRESS:
                raise

    async def _set_recording(self, call_sid: str, doing: str, *, status: str, **more: str) -> None:
        with self._asking(doing):
            running = self._client.calls(_checked(call_sid)).recordings(_RUNNING)
            answer = await running.update_async(status=status, **more)
        if answer.status != status:
            raise TelephonyError(
                f"could not {doing}: Twilio says that it is {answer.status!r}", failure=FailureClass.RETRYABLE
            )

    async def delete_recording(self, sid: str) -> None:
        """Delete a recording, its audio and its entry; one that is gone is no error. Raises TelephonyError."""
        try:
            with self._asking("delete the recording"):
                await self._client.recordings(_checked(sid)).delete_async()
        except NotFound:
            return

    def recording_url(self, sid: str) -> str:
        """Where the audio is; with `.wav` or `.mp3` behind it, it is fetched."""
        base = str(self._client.api.base_url).rstrip("/")
        return f"{base}/2010-04-01/Accounts/{self._account_sid}/Recordings/{_checked(sid)}"

    async def download_recording(self, recording_sid: str, channels: int = 2) -> AsyncIterator[bytes]:
        """The recording's WAV file, piece by piece as it arrives; two channels become one if there is no more.

        Raises NotFound (also: deleted), or TelephonyError, possibly after some pieces: throw those away.
        """
        url = self.recording_url(recording_sid) + ".wav"
        with self._asking("download the recording"):
            credentials = b64encode(f"{self._account_sid}:{self._auth_token}".encode()).decode()
            headers = {"Authorization": f"Basic {credentials}"}
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout_s, sock_read=self._timeout_s)
            for params in ({"RequestedChannels": "2"}, {}) if channels == 2 else ({},):
                try:
                    async with self._http.open().get(url, params=params, headers=headers, timeout=timeout) as response:
                        if response.status == 400 and params:
                            continue  # it is a mono recording
                        if response.status != 200:
                            said = await response.text(errors="replace")
                            raise refusal(response.status, said, response.headers.get("Retry-After"))
                        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                            yield chunk
                        return
                except LOST as error:
                    raise NoAnswer(sent=True, reason=why(error, self._timeout_s)) from error

    @contextmanager
    def _asking(self, doing: str, *, creates: bool = False) -> Iterator[None]:
        if not (self._account_sid and self._auth_token):
            raise TelephonyError(
                f"could not {doing}: set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN", failure=FailureClass.CONFIGURATION
            )
        try:
            yield
        except (Refusal, NoAnswer) as cause:
            raise judge(cause, doing, creates=creates) from cause


def _checked(sid: str) -> str:
    if not _SID.fullmatch(sid):
        raise ValueError(f"{sid!r} is not the SID of anything")
    return sid
