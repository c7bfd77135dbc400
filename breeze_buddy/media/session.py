"""The session of one stream: from its socket's first message to the report of its conversation.

    connected, start ──token──▶ claim ──▶ turn loop ──▶ report ──▶ close (Twilio goes on after <Connect>)

The socket's callbacks come in synchronously (`receive`, `lost`); one task (`run`) does the rest.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from breeze_buddy.domain.conversation import Ending
from breeze_buddy.domain.transfer import TransferEnding
from breeze_buddy.media import twilio
from breeze_buddy.media.conversation_log import ConversationLog
from breeze_buddy.media.directory import CallDirectory, StreamCall, StreamRefused, StreamReplaced
from breeze_buddy.media.engines import Engines, Finish
from breeze_buddy.media.happenings import CallerGone, HandedBack, KeyPressed
from breeze_buddy.media.holding import Hold
from breeze_buddy.media.keeping import StateKeeper, deliver
from breeze_buddy.media.playback import DEFAULT_LEAD_S, Playback
from breeze_buddy.media.recording_pause import RecordingPause
from breeze_buddy.media.ticker import Ticker
from breeze_buddy.media.turn_loop import TurnLoop
from breeze_buddy.media.voicemail import MachineWatch

log = logging.getLogger(__name__)

NORMAL = 1000
UNSUPPORTED = 1003
REFUSED = 1008
FAILED = 1011


class Link(Protocol):
    """The socket, as a session sees it."""

    def send(self, message: bytes) -> None:
        """Queue a text frame. Never blocks; a peer that does not read is the link's business."""

    def close(self, code: int, reason: str) -> None:
        """Close with a WebSocket close code; closing twice is closing once."""


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """`start_s`: until `start` has to come. `claim_s`: until the directory has to know the call.
    `report_s`: how long the close of the socket waits for the report. `broken_s`: how long the report waits for
    another stream of the call when the socket broke."""

    start_s: float = 5.0
    claim_s: float = 10.0
    report_s: float = 6.0
    broken_s: float = 4.0
    lead_s: float = DEFAULT_LEAD_S


class StreamSession:
    """One stream. `background` takes tasks that may outlive it: reports that are still on their way."""

    def __init__(
        self,
        *,
        link: Link,
        directory: CallDirectory,
        engines: Engines,
        ticker: Ticker,
        background: Callable[["asyncio.Task[bool]"], None],
        limits: SessionLimits | None = None,
        on_claimed: Callable[["StreamSession", str], None] = lambda session, call_id: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._link = link
        self._directory = directory
        self._engines = engines
        self._ticker = ticker
        self._background = background
        self._limits = limits or SessionLimits()
        self._on_claimed = on_claimed
        self._clock = clock
        self._allowance = twilio.Allowance()
        self._born_s = asyncio.get_running_loop().time()
        self._stopped = False
        self._ignored = 0
        self._reader = twilio.StreamReader()
        self._started: asyncio.Future[twilio.Start] = asyncio.get_running_loop().create_future()
        self._loop: TurnLoop | None = None
        self._playback: Playback | None = None
        self._gone = False
        self._broken = False
        self.name = "stream"
        self.call_id: str | None = None

    # --- from the socket ---------------------------------------------------------------------------------------

    def receive(self, message: bytes) -> None:
        """One text frame. A peer that breaks the protocol loses its stream, and only that."""
        if self._gone and not self._stopped:
            return
        try:
            if self._allowance.exceeded(len(message)):
                self._allowance.renew(asyncio.get_running_loop().time() - self._born_s)
            event = self._reader.receive(message)
        except twilio.WireError as error:
            self.refuse(UNSUPPORTED, f"{error.code}: {error}")
            return
        match event:
            case twilio.Media():
                if self._loop is not None:
                    self._loop.hear(event.media.payload)
            case twilio.Mark():
                if self._playback is not None:
                    self._playback.mark_returned(event.mark.name)
            case twilio.Dtmf():
                if self._loop is not None:
                    self._loop.post(KeyPressed(event.dtmf.digit))
            case twilio.Start():
                self.name = f"stream {event.stream_sid}"
                if not self._started.done():
                    self._started.set_result(event)
            case twilio.Stop():
                self._stopped = True
                self.lost()
            case twilio.Unknown():
                self._ignored += 1
                if self._ignored == 1:  # the others would only fill the log
                    log.info("%s: ignores an event %r", self.name, event.event[:100])

    def refuse(self, code: int, reason: str) -> None:
        """Close the stream for a fault of the peer; what was said so far is reported."""
        self._stopped = False
        log.warning("%s: closed: %s", self.name, reason)
        self._link.close(code, reason[:120])
        self.lost()

    def lost(self, *, broken: bool = False) -> None:
        """The caller hung up, or the socket is gone; `broken`: nobody had said that it would be."""
        if self._gone:
            return
        self._gone, self._broken = True, broken
        if self._loop is not None:
            self._loop.post(CallerGone())
        elif not self._started.done():
            self._started.cancel()

    # --- the task ----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the stream to its end. Cancelled, it reports nothing: the conversation can be resumed elsewhere."""
        start = await self._start()
        if start is None:
            return
        call = await self._claim(start)
        if call is None:
            return
        self.call_id = call.call_id
        self._on_claimed(self, call.call_id)
        log.info("%s: call %s, %s", self.name, call.call_id, "resumed" if call.resume else "greeting")
        await self._converse(start, call)

    async def _start(self) -> twilio.Start | None:
        """The start message, if it comes in time."""
        await asyncio.wait([self._started], timeout=self._limits.start_s)
        if not self._started.done():
            self.refuse(REFUSED, f"no start within {self._limits.start_s} s")
            return None
        if self._started.cancelled():
            return None
        return self._started.result()

    async def _claim(self, start: twilio.Start) -> StreamCall | None:
        token = start.start.custom_parameters.get("token", "")
        if not token:
            self.refuse(REFUSED, "the stream carries no token parameter")
            return None
        try:
            async with asyncio.timeout(self._limits.claim_s):
                return await self._directory.claim(
                    token=token, call_sid=start.start.call_sid, stream_sid=start.stream_sid
                )
        except StreamRefused as error:
            self.refuse(REFUSED, str(error))
        except TimeoutError:
            self.refuse(FAILED, f"the call was not found within {self._limits.claim_s} s")
        return None

    async def _converse(self, start: twilio.Start, call: StreamCall) -> None:
        loop = asyncio.get_running_loop()
        self._playback = Playback(
            writer=twilio.StreamWriter(start.stream_sid),
            send=self._send,
            ticker=self._ticker,
            on_played=self._played,
            lead_s=self._limits.lead_s,
        )
        transcript = ConversationLog(
            call_id=call.call_id, clock=self._clock, loop_s=loop.time, before=call.resume, zone=call.zone
        )
        privacy = RecordingPause(
            self._directory,
            call.call_id,
            recorded=call.template.record,
            unsure=call.resume is not None,
            background=self._background,
        )
        engines = self._engines.of(call.template)
        conversation = engines.dialogue.converse(call, privacy)
        transcript.tell(conversation)
        keeper = StateKeeper(
            self._directory, call.call_id, stream_sid=start.stream_sid, replaced=self._replaced(asyncio.current_task())
        )
        machines = MachineWatch.of(call, self._directory)
        began_s = loop.time()
        resume = call.resume
        cut_s: float | None = None
        if resume is not None and resume.returned is None:
            cut_s = began_s
            if not resume.parting:  # waiting for a human is not talking too long
                began_s -= max(0.0, (self._clock() - resume.began_at).total_seconds())
        self._loop = TurnLoop(
            conversation=conversation,
            template=call.template,
            engines=engines,
            playback=self._playback,
            transcript=transcript,
            call_began_s=began_s,
            cut_s=cut_s,
            on_state=lambda: keeper.keep(
                transcript.state(
                    conversation,
                    machine=machines.stage if machines is not None else None,
                    decided=self._loop.decided if self._loop is not None else None,
                )
            ),
            hold=Hold(
                self._directory,
                call.call_id,
                longest_s=call.template.transfer.max_wait_s if call.template.transfer is not None else 0,
                handed_back=self._handed_back,
            ),
            machines=machines,
        )
        if self._gone:  # hung up while the call was looked up
            self._loop.post(CallerGone())
        try:
            finish = await self._conversation(call)
        except asyncio.CancelledError:
            keeper.drop()  # whoever goes on with the conversation keeps it from here on
            raise
        finally:
            if engines.release is not None:
                await engines.release()
        await keeper.settle()
        if self._broken and finish.ending in (Ending.CALLER_HUNG_UP, Ending.VOICEMAIL):
            # Twilio says `stop` for whoever hangs up. If only the network broke, it comes back with another stream,
            # here or elsewhere, which has the conversation from then on.
            log.warning("%s: its socket broke: the call may come back", self.name)
            await asyncio.sleep(self._limits.broken_s)
        told = transcript.report(finish, conversation.answers)
        report = asyncio.create_task(deliver(self._directory, told, stream_sid=start.stream_sid))
        self._background(report)
        await asyncio.wait([report], timeout=self._limits.report_s)
        log.info("%s: call %s ended: %s", self.name, call.call_id, finish.ending)
        self._gone, self._stopped = True, False
        self._link.close(NORMAL, finish.ending)

    async def _conversation(self, call: StreamCall) -> Finish:
        """The conversation's end. A failure in a conversation that was resumed already is its end; the first
        one goes up, so that the socket closes and the call comes back to be resumed."""
        assert self._loop is not None
        try:
            return await self._loop.run()
        except Exception:
            if call.resume is None:
                raise
            log.exception("%s: call %s failed again after it was resumed", self.name, call.call_id)
            return Finish(Ending.LOST)

    def _replaced(self, task: "asyncio.Task[None] | None") -> Callable[[StreamReplaced], None]:
        """What ends this stream, whose task it is, when another media server has the call."""

        def end(error: StreamReplaced) -> None:
            log.warning("%s: closed: replaced elsewhere: %s", self.name, error)
            self._link.close(REFUSED, "replaced by another stream of the same call")
            if task is not None:
                task.cancel()

        return end

    def _send(self, message: bytes) -> None:
        if not self._gone:
            self._link.send(message)

    def _handed_back(self, ending: TransferEnding) -> None:
        if self._loop is not None:
            self._loop.post(HandedBack(ending))

    def _played(self) -> None:
        if self._loop is not None:
            self._loop.played()
