"""The directory of calls over the store, and the lead's workflow told when it waits for a report."""

import logging
from collections.abc import Awaitable, Callable

from breeze_buddy.activities.signals import Signals, Unreachable
from breeze_buddy.domain.conversation import ConversationReport, ConversationState
from breeze_buddy.domain.messages import CONVERSATION_REPORTED, TRANSFER_REQUESTED, CallEvent
from breeze_buddy.domain.stream_token import InvalidStreamToken, StreamToken
from breeze_buddy.domain.transfer import TransferEnding
from breeze_buddy.media.directory import (
    RecordingUnchanged,
    StreamCall,
    StreamRefused,
    StreamReplaced,
    TransferRefused,
)
from breeze_buddy.store import attempts, conversations, pods, transfers
from breeze_buddy.store.database import Database
from breeze_buddy.store.errors import StoreError
from breeze_buddy.telephony.client import Twilio
from breeze_buddy.telephony.errors import TelephonyError

logger = logging.getLogger(__name__)


class StoredCalls:
    """A CallDirectory. `secret` is the one that stream tokens are signed with; `pod` is who carries the streams."""

    def __init__(self, database: Database, signals: Signals, secret: str, twilio: Twilio, *, pod: str) -> None:
        self._database = database
        self._signals = signals
        self._secret = secret
        self._twilio = twilio
        self._pod = pod

    async def claim(self, *, token: str, call_sid: str, stream_sid: str) -> StreamCall:
        """Take the token, once. Raises StreamRefused."""
        now = self._database.now()
        try:
            read = StreamToken.read(token, secret=self._secret, now=now)
            async with self._database.write() as tx:
                claimed = await conversations.claim_stream(
                    tx,
                    token_id=read.token_id,
                    call_id=read.call_id,
                    call_sid=call_sid,
                    stream_sid=stream_sid,
                    now=now,
                )
                await pods.hold(tx, read.call_id, self._pod, now=now)
        except (InvalidStreamToken, StoreError) as error:
            raise StreamRefused(str(error)) from error
        return StreamCall(
            call_id=claimed.call_id,
            lead_id=claimed.lead_id,
            template=claimed.template,
            variables=claimed.variables,
            resume=claimed.state,
            zone=claimed.zone,
            inbound=claimed.inbound,
        )

    async def save(self, call_id: str, state: ConversationState, *, stream_sid: str) -> None:
        """Remember where the conversation stands. Raises StreamReplaced."""
        async with self._database.write() as tx:
            kept = await conversations.save_state(tx, call_id, state, now=self._database.now(), stream_sid=stream_sid)
        if not kept:
            raise StreamReplaced(f"another stream of call {call_id} came after {stream_sid}")

    async def report(self, report: ConversationReport, *, stream_sid: str) -> None:
        """Store the conversation; signal the lead when its call has ended, for then it may wait for this. Raises
        StreamReplaced."""
        now = self._database.now()
        async with self._database.write() as tx:
            reported = await conversations.save_report(tx, report, now=now, stream_sid=stream_sid)
            if reported.taken:
                await pods.release(tx, report.call_id, now=now, pod=self._pod)
        if not reported.taken:
            raise StreamReplaced(f"another stream of call {report.call_id} came after {stream_sid}")
        if not reported.awaited:
            return
        try:
            event = CallEvent(call_id=report.call_id)
            await self._signals.to_workflow(reported.workflow_id, CONVERSATION_REPORTED, event)
        except Unreachable as error:
            # The workflow looks into the store by itself a few seconds later.
            logger.warning(
                "the workflow was not told of its conversation: %s", error, extra={"call_id": report.call_id}
            )

    async def pause_recording(self, call_id: str) -> None:
        """From when this returns, the recording of the call takes silence. Raises RecordingUnchanged."""
        await self._set_recording(call_id, self._twilio.pause_recording)

    async def resume_recording(self, call_id: str) -> None:
        """The recording takes sound again. Raises RecordingUnchanged."""
        await self._set_recording(call_id, self._twilio.resume_recording)

    async def answered_by_machine(self, call_id: str) -> bool:
        """Whether Twilio has found out by now that a machine answered."""
        async with self._database.read() as tx:
            return await attempts.is_machine(tx, call_id)

    async def request_transfer(self, call_id: str, reason: str) -> None:
        """Ask for a human. Raises TransferRefused."""
        try:
            async with self._database.write() as tx:
                asked = await transfers.request(tx, call_id, asked_by="flow", reason=reason, now=self._database.now())
        except StoreError as error:
            raise TransferRefused(str(error)) from error
        try:
            await self._signals.to_workflow(asked.workflow_id, TRANSFER_REQUESTED, asked.start)
        except Unreachable as error:
            logger.warning("a transfer waits for the relay: %s", error, extra={"call_id": call_id})

    async def transfer_ending(self, call_id: str) -> TransferEnding | None:
        """How the call's latest transfer ended; None while one is open, or when there was none."""
        async with self._database.read() as tx:
            return await transfers.latest_ending(tx, call_id)

    async def transfer_is_open(self, call_id: str) -> bool:
        """Whether somebody has asked for a human, and that has not ended."""
        async with self._database.read() as tx:
            return await conversations.transfer_is_open(tx, call_id)

    async def _set_recording(self, call_id: str, change: Callable[[str], Awaitable[None]]) -> None:
        async with self._database.read() as tx:
            sid = await attempts.known_sid(tx, call_id)
        if sid is None:
            raise RecordingUnchanged(f"call {call_id} has no CallSid")
        try:
            await change(sid)
        except TelephonyError as error:
            raise RecordingUnchanged(str(error)) from error
