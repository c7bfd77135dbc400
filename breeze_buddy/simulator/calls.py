"""Calls: what was asked, what happened, and how the REST interface and the witness record show it."""

import asyncio
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from breeze_buddy.simulator.callee import Said
from breeze_buddy.simulator.dates import iso, now_s, rfc2822
from breeze_buddy.simulator.errors import Notification
from breeze_buddy.simulator.line import Line
from breeze_buddy.simulator.media_stream import StreamWitness
from breeze_buddy.simulator.recordings import RecordingRequest
from breeze_buddy.simulator.sids import new_sid

LIVE = ("queued", "ringing", "in-progress")


@dataclass(frozen=True)
class CallRequest:
    """The parameters of `POST /Calls`, read and checked, or those of a call that comes about in another way."""

    to: str
    caller: str
    url: str | None = None
    method: str = "POST"
    twiml: str | None = None
    fallback_url: str | None = None
    fallback_method: str = "POST"
    status_callback: str | None = None
    status_callback_method: str = "POST"
    status_callback_events: tuple[str, ...] = ("completed",)
    timeout_s: int = 60
    time_limit_s: int = 14_400
    send_digits: str = ""
    recording: RecordingRequest | None = None
    machine_detection: str | None = None
    async_amd: bool = False
    async_amd_callback: str | None = None
    async_amd_callback_method: str = "POST"
    direction: str = "outbound-api"
    parent_sid: str | None = None


@dataclass(frozen=True)
class Ending:
    """Why a call ended: its final status and the SIP code that goes with it."""

    status: str
    sip_code: int
    by: str


@dataclass(slots=True)
class CallbackWitness:
    """One callback and what became of it. ``form`` is URL-encoded, without empty fields: there may be many."""

    event: str
    url: str
    at_s: float
    form: str
    result: str = "waiting"
    fault: str | None = None
    attempts: list[str] = field(default_factory=list)
    done_s: float | None = None

    def witness(self) -> dict[str, Any]:
        """For the witness record."""
        return {
            "event": self.event,
            "url": self.url,
            "at": iso(self.at_s),
            "form": dict(parse_qsl(self.form)),
            "result": self.result,
            "fault": self.fault,
            "attempts": self.attempts,
            "done": iso(self.done_s),
        }


@dataclass(slots=True)
class Call:
    """One call, from its creation to its last callback."""

    account_sid: str
    request: CallRequest
    attempt: int
    number_sid: str | None
    sid: str = field(default_factory=lambda: new_sid("CA"))
    status: str = "queued"
    created_s: float = field(default_factory=now_s)
    updated_s: float = field(default_factory=now_s)
    dialled_s: float | None = None
    ringing_s: float | None = None
    answered_s: float | None = None
    ended_s: float | None = None
    answered_by: str | None = None
    ending: Ending | None = None
    person: str = ""
    behaviour: str = ""
    visible_from_s: float = 0.0
    fallback_used: bool = False
    sequence: int = 0
    updates: int = 0
    line: Line = field(default_factory=Line)
    said: list[Said] = field(default_factory=list)
    program: asyncio.Task[None] | None = None
    callbacks: list[CallbackWitness] = field(default_factory=list)
    notifications: list[Notification] = field(default_factory=list)
    streams: list[StreamWitness] = field(default_factory=list)
    last_callback: asyncio.Event | None = None
    held_callbacks: list[asyncio.Event] = field(default_factory=list)
    digits_sent: str = ""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def to(self) -> str:
        """The number that is dialled."""
        return self.request.to

    @property
    def caller(self) -> str:
        """The number that is shown."""
        return self.request.caller

    @property
    def own_number(self) -> str:
        """The account's number in this call: the one that was called, or the one that is shown."""
        return self.to if self.request.direction == "inbound" else self.caller

    @property
    def is_live(self) -> bool:
        """Whether it has not ended."""
        return self.status in LIVE

    @property
    def duration_s(self) -> int:
        """Whole seconds between answer and end; 0 when never answered or not yet ended."""
        if self.answered_s is None or self.ended_s is None:
            return 0
        return round(self.ended_s - self.answered_s)

    @property
    def duration_minutes(self) -> int:
        """Minutes as they are billed."""
        return math.ceil(self.duration_s / 60)

    def end(self, status: str, sip_code: int, by: str) -> None:
        """Ask for the end; the first to ask decides why."""
        if self.ending is None:
            self.ending = Ending(status, sip_code, by)
            self.over.set()

    async def ends_within(self, seconds: float) -> bool:
        """Wait that long; whether the end was asked for meanwhile."""
        try:
            async with asyncio.timeout(seconds):
                await self.over.wait()
        except TimeoutError:
            return False
        return True

    def notify(self, code: int, text: str) -> None:
        """A line in the call's debugger log."""
        self.notifications.append(Notification(code, text, now_s()))

    def change(self, status: str) -> None:
        """A new status, now."""
        self.status, self.updated_s = status, now_s()

    def resource(self) -> dict[str, Any]:
        """As the REST interface shows it."""
        account = f"/2010-04-01/Accounts/{self.account_sid}"
        own = f"{account}/Calls/{self.sid}"
        ended = self.ended_s is not None
        parts = ("events", "notifications", "payments", "recordings", "siprec", "streams", "transcriptions")
        waited_ms = max(0.0, (self.dialled_s or now_s()) - self.created_s) * 1000
        return {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "parent_call_sid": self.request.parent_sid,
            "to": self.to,
            "to_formatted": self.to,
            "from": self.caller,
            "from_formatted": self.caller,
            "phone_number_sid": self.number_sid,
            "status": self.status,
            "start_time": rfc2822(self.dialled_s),
            "end_time": rfc2822(self.ended_s),
            "duration": str(self.duration_s) if ended else None,
            "price": None,
            "price_unit": "USD",
            "direction": self.request.direction,
            "answered_by": self.answered_by,
            "api_version": "2010-04-01",
            "forwarded_from": None,
            "group_sid": None,
            "caller_name": None,
            "queue_time": str(int(waited_ms)),
            "trunk_sid": None,
            "date_created": rfc2822(self.created_s),
            "date_updated": rfc2822(self.updated_s),
            "uri": own + ".json",
            "subresource_uris": {part: f"{own}/{part.capitalize()}.json" for part in parts},
        }

    def witness(self) -> dict[str, Any]:
        """All that happened, for tests and demonstrations."""
        return {
            "sid": self.sid,
            "to": self.to,
            "from": self.caller,
            "attempt": self.attempt,
            "person": self.person,
            "behaviour": self.behaviour,
            "status": self.status,
            "duration_s": self.duration_s,
            "answered_by": self.answered_by,
            "direction": self.request.direction,
            "parent_sid": self.request.parent_sid,
            "ending": None if self.ending is None else {"sip_code": self.ending.sip_code, "by": self.ending.by},
            "times": {
                "created": iso(self.created_s),
                "dialled": iso(self.dialled_s),
                "ringing": iso(self.ringing_s),
                "answered": iso(self.answered_s),
                "ringing_stopped": iso(self.answered_s or self.ended_s) if self.ringing_s else None,
                "ended": iso(self.ended_s),
            },
            "said": [{"at_s": s.at_s, "did": s.did, "text": s.text, "sounds_at_s": s.sounds_at_s} for s in self.said],
            "digits_sent": self.digits_sent,
            "streams": [vars(stream) for stream in self.streams],
            "notifications": [{"code": n.code, "text": n.text, "at": iso(n.at_s)} for n in self.notifications],
            "callbacks": [callback.witness() for callback in self.callbacks],
        }


class CallLog:
    """Every call of the account, and how many were live at once for each number."""

    def __init__(self) -> None:
        self.by_sid: dict[str, Call] = {}
        self.by_to: dict[str, list[Call]] = {}
        self.max_live_by_callee: dict[str, int] = {}
        self.max_live_by_caller: dict[str, int] = {}
        self.max_live_by_number: dict[str, int] = {}
        self.creates_by_callee: Counter[str] = Counter()
        self.arrivals_by_caller: Counter[str] = Counter()
        self._live_by_callee: dict[str, int] = {}
        self._live_by_caller: dict[str, int] = {}
        self._live_by_number: dict[str, int] = {}

    def add(self, call: Call) -> None:
        """A call was created."""
        self.by_sid[call.sid] = call
        self.by_to.setdefault(call.to, []).append(call)
        _more(self._live_by_callee, self.max_live_by_callee, call.to)
        _more(self._live_by_caller, self.max_live_by_caller, call.caller)
        _more(self._live_by_number, self.max_live_by_number, call.own_number)

    def ended(self, call: Call) -> None:
        """A call is over."""
        self._live_by_callee[call.to] -= 1
        self._live_by_caller[call.caller] -= 1
        self._live_by_number[call.own_number] -= 1

    def next_attempt(self, to: str) -> int:
        """Which attempt the next call to this number is, from 1."""
        return len(self.by_to.get(to, ())) + 1

    def newest_first(self, to: str | None = None) -> Iterator[Call]:
        """Calls as a list shows them, all or to one number."""
        return reversed(self.by_to.get(to, [])) if to else reversed(self.by_sid.values())

    def live(self) -> list[Call]:
        """Calls that have not ended."""
        return [call for call in self.by_sid.values() if call.is_live]


def _more(live: dict[str, int], most: dict[str, int], number: str) -> None:
    live[number] = live.get(number, 0) + 1
    most[number] = max(most.get(number, 0), live[number])
