"""The exchange: carries each call from the queue through ringing and talking to its end, and answers requests about it.

Each call is one task that waits; sound is moved by the audio clock, TwiML by the call's program.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from breeze_buddy.simulator.account import Account
from breeze_buddy.simulator.audio_clock import AudioClock
from breeze_buddy.simulator.background import Tasks
from breeze_buddy.simulator.callbacks import Callbacks
from breeze_buddy.simulator.callee import Callee, sentences_of
from breeze_buddy.simulator.calls import Call, CallLog, CallRequest
from breeze_buddy.simulator.conference import MOVED, Conference, Seat
from breeze_buddy.simulator.conferences import Conferences
from breeze_buddy.simulator.dates import now_s
from breeze_buddy.simulator.dialling import Answered, give_up
from breeze_buddy.simulator.errors import ApiError
from breeze_buddy.simulator.faults import Faults
from breeze_buddy.simulator.inbound import Arrival
from breeze_buddy.simulator.join_settings import JoinSettings
from breeze_buddy.simulator.people import Behaviour, Directory
from breeze_buddy.simulator.program import Document, Program, Studio
from breeze_buddy.simulator.recordings import Recording

log = logging.getLogger(__name__)

RING_S = 2.0
REFUSED_AFTER_S = 0.3
DECLINED_AFTER_S = 1.0
SIP_OK, SIP_BUSY, SIP_CANCELLED, SIP_NOT_FOUND, SIP_DECLINED = 200, 486, 487, 404, 603
TRIAL_CALL_MAX_S = 600
NOT_IN_PROGRESS = 21220
SEND_DIGIT_S = {"w": 0.5, "W": 1.0}
KEY_S = 0.25


@dataclass
class Exchange:
    """Everything that calls need, and the calls."""

    account: Account
    directory: Directory
    faults: Faults
    studio: Studio
    clock: AudioClock
    tasks: Tasks
    calls_per_second: float
    recording_delay_s: float
    calls: CallLog = field(default_factory=CallLog)
    _answered: dict[str, Answered] = field(default_factory=dict)
    _next_dial_s: float = 0.0

    @property
    def callbacks(self) -> Callbacks:
        """The callbacks of all calls."""
        return self.studio.callbacks

    @property
    def conferences(self) -> Conferences:
        """The conferences of all calls."""
        return self.studio.conferences

    def place(self, request: CallRequest, answered: Answered | None = None) -> Call:
        """Create a call; it is queued and goes its way. ``answered`` is done on answer instead of TwiML."""
        number = self.account.numbers.get(request.caller)
        attempt = self.calls.next_attempt(request.to)
        call = Call(self.account.sid, request, attempt, number.sid if number else None)
        late = self.faults.strike("list_late", to=request.to, event="list", about=str(attempt))
        call.visible_from_s = call.created_s + (late.delay_s if late else 0.0)
        self.calls.add(call)
        if answered is not None:
            self._answered[call.sid] = answered
        self.tasks.start(self._carry(call, self._dial_out), f"call {call.sid}")
        return call

    def invite(
        self, request: CallRequest, settings: JoinSettings, conference: Conference | None
    ) -> tuple[Conference, Seat]:
        """Dial somebody into a conference; without one, into the live one of that name, or a new one.

        When that has ended before they answer, who was dialled by its name comes into a new one; who was dialled by
        its SID is hung up on.
        """
        bound = conference is not None
        room = conference or self.conferences.at(settings)
        seats: list[Seat] = []

        async def answered(program: Program) -> None:
            [seat] = seats
            there = room if room.is_live or bound else self.conferences.at(settings)
            if there is not room:
                room.withdraw(seat)
            if there.is_live:
                await program.dialling.sit(seat, there)

        call = self.place(request, answered)
        seats.append(Seat(call, settings))
        room.invite(seats[0])
        self.tasks.start(self._uninvite(room, seats[0]), f"invitation of {call.sid}")
        return room, seats[0]

    def kick(self, conference: Conference, seat: Seat) -> None:
        """Out of the conference; whoever is only being dialled is dialled no longer."""
        if seat.is_in:
            conference.leave(seat, MOVED, kicked=True)
        else:
            give_up(seat.call)

    async def _uninvite(self, room: Conference, seat: Seat) -> None:
        await seat.call.finished.wait()
        room.add_failed(seat)

    def receive(self, arrival: Arrival) -> None:
        """A person calls one of our numbers, at once or after a while."""
        self.tasks.start(self._receive(arrival), f"call {arrival.call.sid}")

    async def _receive(self, arrival: Arrival) -> None:
        if arrival.delay_s > 0:
            await asyncio.sleep(arrival.delay_s)
        self.calls.add(arrival.call)
        await self._carry(arrival.call, arrival.go)

    async def hang_up(self, call: Call) -> None:
        """`Status=completed`: end it, talking or not."""
        if call.answered_s is not None:
            call.end("completed", SIP_OK, "the API")
        else:
            call.end("canceled", SIP_CANCELLED, "the API")
        await call.finished.wait()

    async def cancel(self, call: Call) -> None:
        """`Status=canceled`: end it unless it was answered."""
        if call.answered_s is None:
            call.end("canceled", SIP_CANCELLED, "the API")
            await call.finished.wait()

    def redirect(self, call: Call, document: Document) -> None:
        """Replace what a live call is doing. Raises ApiError 21220 when it is not in progress."""
        if call.status != "in-progress" or call.ending is not None:
            raise ApiError(NOT_IN_PROGRESS, "Call is not in-progress. Cannot redirect.")
        self._run(call, document, announce_trial=False)

    async def reset(self) -> None:
        """Forget every call, recording and fault; live calls end without another callback."""
        await self.tasks.stop()
        self.calls = CallLog()
        self.conferences.clear()
        self._answered.clear()
        self.studio.recordings.clear()
        self.faults.clear()
        self._next_dial_s = 0.0

    async def _dial_out(self, call: Call) -> None:
        if not await self._queued(call):
            await self._connect(call)

    async def _carry(self, call: Call, go: Callable[[Call], Awaitable[None]]) -> None:
        try:
            await go(call)
        except asyncio.CancelledError:
            self._drop(call)
            raise
        finally:
            if call.ending is None:
                call.end("failed", 500, "an error of the simulator")
            self._finish(call)

    async def _queued(self, call: Call) -> bool:
        """Wait for the account's turn to dial; whether the call ended meanwhile."""
        if self.calls_per_second > 0 and call.request.direction != "outbound-dial":
            now = asyncio.get_running_loop().time()
            due_s = max(now, self._next_dial_s)
            self._next_dial_s = due_s + 1 / self.calls_per_second
            if due_s > now:
                return await call.ends_within(due_s - now)
        return call.ending is not None

    async def _connect(self, call: Call) -> None:
        person = self.directory.at(call.to)
        behaviour = person.behaviour_for(call.attempt)
        call.person, call.behaviour = person.name, behaviour.behaviour
        call.dialled_s = call.updated_s = now_s()
        self.callbacks.status(call, "initiated")
        preparing = self.tasks.start(self.clips_of(behaviour, call.to), f"voice of {call.sid}")
        if await self._ring(call, behaviour):
            return
        await self._until_ready(call, preparing)
        if call.ending is None:
            await self._talk(call, behaviour, preparing.result())

    async def _until_ready(self, call: Call, preparing: asyncio.Task[dict[str, bytes]]) -> None:
        """Ring on until the person's voice is ready, or the call ends."""
        over = asyncio.create_task(call.over.wait())
        try:
            await asyncio.wait([preparing, over], return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()

    async def clips_of(self, behaviour: Behaviour, phone: str) -> dict[str, bytes]:
        """What somebody may have to say, rendered in the voice of that phone."""
        voice = self.directory.at(phone).voice_or_default()
        return {text: await self.studio.speech.say(text, voice) for text in sentences_of(behaviour)}

    async def _ring(self, call: Call, behaviour: Behaviour) -> bool:
        """Ring until answered; whether the call ended instead."""
        kind, ring_s = behaviour.behaviour, behaviour.ring_s
        if kind in ("busy", "failed"):
            if not await call.ends_within(REFUSED_AFTER_S if ring_s is None else ring_s):
                sip_code = SIP_BUSY if kind == "busy" else (behaviour.sip_code or SIP_NOT_FOUND)
                call.end(kind, sip_code, "the network")
            return True
        call.ringing_s = now_s()
        call.change("ringing")
        self.callbacks.status(call, "ringing")
        limit_s = float(call.request.timeout_s)
        if kind == "declines" and ring_s is None:
            ring_s = DECLINED_AFTER_S
        if kind == "no_answer":
            limit_s, ring_s = (limit_s if ring_s is None else min(ring_s, limit_s)), float("inf")
        ring_s = RING_S if ring_s is None else ring_s
        if await call.ends_within(min(ring_s, limit_s)):
            return True
        if ring_s > limit_s:
            call.end("no-answer", SIP_CANCELLED, "nobody answered")
            return True
        if kind == "declines":
            call.end("busy", SIP_DECLINED, "the callee")
            return True
        if kind == "canceled":
            call.end("canceled", SIP_CANCELLED, "the account's owner")
            return True
        return False

    def pick_up(self, call: Call, behaviour: Behaviour, clips: dict[str, bytes]) -> Callee:
        """The call is answered: from now on the person is on the line."""
        call.answered_s = now_s()
        call.change("in-progress")
        self.callbacks.status(call, "answered")
        if call.request.recording is not None:
            self.studio.start_recording(call, call.request.recording)
        callee = Callee(
            behaviour,
            clips,
            press=call.line.press,
            hang_up=lambda: call.end("completed", SIP_OK, "the callee"),
            said=call.said,
        )
        if behaviour.talk_s == 0:
            for recording in call.line.recordings:
                recording.write_silence(behaviour.recorded_s)
            call.end("completed", SIP_OK, "the callee")
            return callee
        call.line.callee = callee
        self.clock.join(call.line)
        return callee

    async def _talk(self, call: Call, behaviour: Behaviour, clips: dict[str, bytes]) -> None:
        callee = self.pick_up(call, behaviour, clips)
        if call.ending is not None:
            return
        if await self._detect(call, callee) or await self._send_digits(call):
            return
        request = call.request
        answered = self._answered.pop(call.sid, None)
        if answered is not None:
            self.do(call, answered)
        else:
            self._run(
                call, Document(request.url, request.method, None if request.url else request.twiml), announce_trial=True
            )
        limit_s = min(request.time_limit_s, TRIAL_CALL_MAX_S) if self.account.trial else request.time_limit_s
        await self.limit(call, limit_s)

    async def limit(self, call: Call, limit_s: float) -> None:
        """Wait for the end of an answered call, which comes after ``limit_s`` at the latest."""
        if not await call.ends_within(max(0.0, limit_s - (now_s() - (call.answered_s or now_s())))):
            call.end("completed", SIP_OK, "the time limit")

    async def _detect(self, call: Call, callee: Callee) -> bool:
        """Answering machine detection, waited for unless asynchronous; whether the call ended meanwhile."""
        mode = call.request.machine_detection
        if mode is None:
            return False
        if call.request.async_amd:
            self.tasks.start(self._detect_in_background(call, callee, mode), f"detection of {call.sid}")
            return False
        found = callee.detection(mode)
        ended = await call.ends_within(found.after_s)
        if not ended:
            call.answered_by = found.answered_by
        return ended

    async def _detect_in_background(self, call: Call, callee: Callee, mode: str) -> None:
        found = callee.detection(mode)
        if not await call.ends_within(found.after_s):
            call.answered_by = found.answered_by
            self.callbacks.amd(call, found.answered_by, round(found.after_s * 1000))

    async def _send_digits(self, call: Call) -> bool:
        digits = call.request.send_digits
        call.digits_sent += digits
        return bool(digits) and await call.ends_within(sum(SEND_DIGIT_S.get(digit, KEY_S) for digit in digits))

    def _run(self, call: Call, document: Document, *, announce_trial: bool) -> None:
        self.do(call, lambda program: program.run(document, announce_trial=announce_trial))

    def do(self, call: Call, work: Answered, pick_up: Callable[[], Awaitable[None]] | None = None) -> None:
        """Give the call something to do instead of what it is doing; when that is done it ends."""
        if call.program is not None:
            call.program.cancel()

        async def carry_out() -> None:
            await work(Program(call, self.studio, self, pick_up))
            call.end("completed", SIP_OK, "the TwiML")

        call.program = self.tasks.start(carry_out(), f"program of {call.sid}")
        call.program.add_done_callback(lambda task: self._program_ended(call, task))

    def _program_ended(self, call: Call, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and task.exception() is not None:
            call.end("completed", SIP_OK, "an error of the simulator")

    def _drop(self, call: Call) -> None:
        """The simulator stops or forgets: the call is gone without a word to anyone."""
        for recording in call.line.recordings:
            recording.close()
        call.line.recordings = []
        call.end("failed", 500, "the simulator")
        call.ended_s = now_s()
        call.change("failed")
        self.calls.ended(call)
        call.finished.set()

    def _finish(self, call: Call) -> None:
        self.clock.leave(call.line)
        self._answered.pop(call.sid, None)
        if call.program is not None:
            call.program.cancel()
        ending = call.ending
        if ending is None or call.ended_s is not None:
            return
        call.ended_s = now_s()
        call.change(ending.status)
        self.calls.ended(call)
        recordings, call.line.recordings = call.line.recordings, []
        call.line.callee = None
        for recording in recordings:
            recording.close()
        asked = next((r for r in self.studio.recordings.of_call(call.sid) if r.request is call.request.recording), None)
        self.callbacks.status(call, "completed", asked)
        for recording in recordings:
            self.tasks.start(self._process(call, recording), f"recording {recording.sid}")
        call.finished.set()

    async def _process(self, call: Call, recording: Recording) -> None:
        await asyncio.sleep(self.recording_delay_s)
        if recording.sid in self.studio.recordings.by_sid:
            recording.finish()
            self.callbacks.recording(call, recording, recording.status)
