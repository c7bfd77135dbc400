"""Activities that talk to Twilio: dial, ask, hang up.

`POST /Calls` is not idempotent, so it is sent once for each attempt: the intent is committed first, and a
second run that finds an intent does not send.
"""

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from temporalio import activity

from breeze_buddy.activities.answer import Answers
from breeze_buddy.activities.calls import tell_campaign
from breeze_buddy.activities.dispatch import Dispatcher
from breeze_buddy.activities.signals import Signals
from breeze_buddy.domain.call import CallFacts, CallStatus, FailureClass
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.messages import CallEvent, DialResult, Grant, Standing, Waits
from breeze_buddy.domain.pacing import TOO_LATE, UNDER_WAY, AccountLimits
from breeze_buddy.store import acceptance, attempts, pacing
from breeze_buddy.store.acceptance import Accepted, AlreadyDialled, AlreadyRefused, DialOrder, Later, Unclear, Unusable
from breeze_buddy.store.database import Database
from breeze_buddy.telephony import twiml
from breeze_buddy.telephony.client import LONGEST_CALL_S, AnswerUrl, PlaceCall, Twilio, Twiml
from breeze_buddy.telephony.errors import NotFound, TelephonyError

logger = logging.getLogger(__name__)

# Twilio's clock and ours may differ by this much when a lost request is looked for.
_CLOCK_DIFFERENCE = timedelta(seconds=30)
_STALE_INTENT = timedelta(seconds=15)
# So often a call that comes too late for its turn takes another one; a machine that slow is late anyway.
_TURNS = 3


@dataclass(frozen=True, slots=True)
class CallPlan:
    """How calls are placed. `pod_isolation`: Twilio asks the Smart Router when the callee answers.

    `waits` are those of a call that takes no time; ringing and talking are added by template.
    """

    answers: Answers
    stream_url: str
    pod_isolation: bool
    waits: Waits

    def __post_init__(self) -> None:
        """Raises ValueError for addresses that Twilio would refuse: better now than at each call."""
        twiml.check_stream_url(self.stream_url)

    def place(self, order: DialOrder) -> PlaceCall:
        """The request for one attempt."""
        ids = {"call_id": order.call_id, "lead_id": order.lead_id}
        template = order.template
        if self.pod_isolation:
            answer: Twiml | AnswerUrl = AnswerUrl(
                self.answers.url("answer", **ids), fallback_url=self.answers.url("twiml-fallback", **ids)
            )
        else:
            text = self.answers.stream(
                self.stream_url, call_id=order.call_id, lead_id=order.lead_id, now=order.intended_at
            )
            answer = Twiml(text)
        return PlaceCall(
            to=order.to_phone,
            from_=order.from_phone,
            answer=answer,
            status_callback=self.answers.url("status", **ids),
            recording_callback=self.answers.url("details", **ids) if template.record else None,
            amd_callback=self.answers.url("amd", **ids) if template.detect_voicemail else None,
            ring_timeout_s=template.ring_timeout_s,
            # A human may talk for as long as a call can last; the agent keeps to its own limit.
            time_limit_s=LONGEST_CALL_S if template.transfer is not None else template.max_call_s + 30,
        )


class TelephonyActivities:
    """Bound to the clients of one worker process."""

    def __init__(
        self,
        database: Database,
        twilio: Twilio,
        plan: CallPlan,
        dispatcher: Dispatcher,
        signals: Signals,
        limits: AccountLimits,
    ) -> None:
        self._database = database
        self._limits = limits
        self._twilio = twilio
        self._plan = plan
        self._dispatcher = dispatcher
        self._signals = signals

    @activity.defn
    async def dial(self, grant: Grant) -> DialResult:
        """Accept the grant, check that the lead may be called now, note the intent, and call in its turn."""
        async with self._database.write() as tx:
            now = self._database.now()
            answer = await acceptance.accept_grant(tx, grant.call_id, limits=self._limits, now=now, ahead=UNDER_WAY)
        match answer:
            case Later(at):
                return DialResult(kind="later", at=at)
            case Unusable(standing, reason):
                return await self._unusable(grant, standing, reason)
            case AlreadyDialled(order):
                # The run before may have stopped between its call and this.
                await self._dispatcher.dispatch()
                return self._result("dialled", order)
            case AlreadyRefused(order):
                await self._dispatcher.dispatch()
                return self._result("refused", order)
            case Unclear(order):
                await self._dispatcher.dispatch()
                return self._result("unclear", order, "an earlier run may have placed the call")
            case Accepted(order, place_at, held, apart):
                await self._wait_for_turn(grant.campaign_id, place_at, apart)
                result = await self._place(order)
                if held:
                    await self._dispatcher.dispatch()
                return result

    async def _wait_for_turn(self, campaign_id: str, at: datetime, apart: timedelta) -> None:
        """Until the moment that is this call's. Who comes too late for it takes another one: else two calls would
        be nearer to each other than the rate allows. Turns that are hardly `apart` need no such care.
        """
        for _ in range(_TURNS):
            await asyncio.sleep((at - self._database.now()).total_seconds())
            late = self._database.now() - at
            if late <= TOO_LATE or apart < TOO_LATE:
                return
            async with self._database.write() as tx:
                now = self._database.now()
                at = await pacing.take_turn_again(tx, campaign_id, at, self._limits, now=now, ahead=UNDER_WAY)
        await asyncio.sleep((at - self._database.now()).total_seconds())

    async def _unusable(self, grant: Grant, standing: Standing, reason: str) -> DialResult:
        """The line that was granted is free again: it goes to the next lead."""
        await self._dispatcher.dispatch()
        if standing.status is LeadStatus.FINISHED:
            await tell_campaign(self._database, self._signals, grant.campaign_id)
        return DialResult(kind="unusable", standing=standing, reason=reason)

    async def _place(self, order: DialOrder) -> DialResult:
        if self._database.now() - order.intended_at > _STALE_INTENT:
            # This process stood still since it noted the intent, and others may have drawn conclusions from it.
            return self._result("unclear", order, "the worker was too slow to place the call")
        try:
            sid = await self._twilio.place_call(self._plan.place(order))
        except TelephonyError as error:
            return await self._not_placed(order, error)
        async with self._database.write() as tx:
            await attempts.record_dialled(tx, order.call_id, sid, now=self._database.now())
        return self._result("dialled", order)

    async def _not_placed(self, order: DialOrder, error: TelephonyError) -> DialResult:
        logger.warning(
            "call not placed (%s): %s", error.failure, error, extra={"lead_id": order.lead_id, "call_id": order.call_id}
        )
        if error.failure is FailureClass.AMBIGUOUS:
            return self._result("unclear", order, str(error))
        async with self._database.write() as tx:
            refused = await attempts.record_refused(
                tx, order.call_id, error.failure, error_code=error.code, message=str(error)
            )
        return self._result("refused" if refused else "dialled", order, str(error))

    @activity.defn
    async def reconcile(self, event: CallEvent) -> bool:
        """Find out whether a call was created: from our own facts, then in Twilio's list. True once it is found."""
        async with self._database.read() as tx:
            if await attempts.known_sid(tx, event.call_id) is not None:
                return True
            order = await acceptance.order_of(tx, event.call_id)
        since = order.intended_at - _CLOCK_DIFFERENCE
        found = [
            c for c in await self._twilio.find_calls(order.to_phone, order.from_phone, since) if c.created_at >= since
        ]
        async with self._database.write() as tx:
            taken = await attempts.sids_in_use(tx, [call.sid for call in found])
            ours = sorted((call for call in found if call.sid not in taken), key=lambda call: call.created_at)
            if not ours:
                return False
            await attempts.record_dialled(tx, event.call_id, ours[0].sid, now=self._database.now())
            await attempts.record_facts(tx, event.call_id, ours[0].facts)
        return True

    @activity.defn
    async def give_up_dial(self, event: CallEvent) -> bool:
        """Settle that a request was lost before Twilio made a call. False when a fact says it did."""
        async with self._database.write() as tx:
            return await attempts.record_refused(
                tx,
                event.call_id,
                FailureClass.RETRYABLE,
                error_code=None,
                message="the request to Twilio was lost: no callback came and no such call is in Twilio's list",
            )

    @activity.defn
    async def check_call(self, event: CallEvent) -> CallEvent:
        """Ask Twilio how a call stands, and keep the answer as facts."""
        async with self._database.read() as tx:
            sid = await attempts.known_sid(tx, event.call_id)
        if sid is None:  # nothing to ask about yet
            return CallEvent(call_id=event.call_id)
        try:
            facts = await self._twilio.fetch_call(sid)
        except NotFound:
            logger.error("Twilio does not know call %s any more", sid, extra={"call_id": event.call_id})
            facts = CallFacts(sid=sid, status=CallStatus.FAILED)
        async with self._database.write() as tx:
            known = await attempts.record_facts(tx, event.call_id, facts)
        return CallEvent(call_id=event.call_id, status=known.status)

    @activity.defn
    async def hang_up(self, event: CallEvent, cancelled: bool) -> None:
        """End a live call. `cancelled`: because its lead was cancelled. A call that has ended is no error."""
        async with self._database.write() as tx:
            if cancelled:
                await attempts.mark_cancelled_by_us(tx, event.call_id)
            sid = await attempts.known_sid(tx, event.call_id)
        if sid is not None:
            await self._twilio.hang_up(sid)

    def _result(self, kind: Literal["dialled", "unclear", "refused"], order: DialOrder, reason: str = "") -> DialResult:
        waits, template = self._plan.waits, order.template
        first_word_s = waits.first_word_s + template.ring_timeout_s
        by_call = {"first_word_s": first_word_s, "longest_call_s": waits.longest_call_s + template.max_call_s}
        return DialResult(kind=kind, waits=waits.model_copy(update=by_call), reason=reason)
