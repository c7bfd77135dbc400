"""Activities of a warm transfer: move the customer, ring the team, bring the customer back, tidy up.

Each can run twice. A human's phone is rung once for each leg: its intent is committed before the request, and
a second run that finds the intent looks for the call instead of sending again.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity

from breeze_buddy.activities.answer import Answers
from breeze_buddy.domain.call import CallStatus, FailureClass
from breeze_buddy.domain.flow import fill
from breeze_buddy.domain.messages import LegEvent, LegNews
from breeze_buddy.domain.phone import mask
from breeze_buddy.domain.transfer import TransferEnding, TransferOrder
from breeze_buddy.store import human_legs, transfers
from breeze_buddy.store.database import Database
from breeze_buddy.store.human_legs import Leg
from breeze_buddy.store.transfers import TransferCall
from breeze_buddy.telephony import conference_twiml, twiml
from breeze_buddy.telephony.client import LONGEST_CALL_S, AnswerUrl, PlaceCall, Twilio
from breeze_buddy.telephony.conference_twiml import ConferenceRoom
from breeze_buddy.telephony.errors import NotFound, TelephonyError

_CLOCK_DIFFERENCE = timedelta(seconds=30)
_LOOK_FOR_IT_S = (0.0, 0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True)
class TransferPlan:
    """What the workflow has to know of a transfer's policy."""

    team: list[list[str]]  # the phones rung together, group after group, by their shortened numbers
    ring_timeout_s: int
    max_wait_s: float
    alone_s: float
    open: bool
    moved: bool | None  # False: the customer has hung up; None: stays with the agent until a human is there
    ended: TransferEnding | None = None  # it was over before it was taken up


@dataclass(frozen=True, slots=True)
class DialLeg:
    """Ring the human at this place of the team."""

    transfer_id: str
    leg_id: str
    place: int


@dataclass(frozen=True, slots=True)
class LegDialled:
    """`ringing`: Twilio has the call. `taken`: this human is in another transfer. Else `ending` says why not."""

    ringing: bool
    taken: bool = False
    ending: TransferEnding | None = None


@dataclass(frozen=True, slots=True)
class EndTransfer:
    """How a transfer ended, and whether the customer goes on with the agent."""

    transfer_id: str
    ending: TransferEnding
    bring_back: bool


@dataclass(frozen=True, slots=True)
class Closed:
    """How a transfer did end, by what is known of it, and whether the customer is back with the agent."""

    ending: TransferEnding
    returned: bool


class TransferRoom:
    """Where the TwiML of one platform's transfers points."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def of(self, transfer: TransferCall) -> ConferenceRoom:
        """The conference of a transfer."""
        return ConferenceRoom(
            name=transfer.conference_name,
            status_url=self.url("conference", transfer_id=transfer.id),
            music_url=self.url("hold", transfer_id=transfer.id),
        )

    def url(self, callback: str, **query: str) -> str:
        return self._answers.callback(f"transfer/{callback}", **query)

    def customer(self, transfer: TransferCall) -> str:
        """TwiML that puts the customer into the conference."""
        return conference_twiml.customer(self.of(transfer), after_url=self.url("after", transfer_id=transfer.id))


def briefing_of(transfer: TransferCall) -> str:
    """What the human is told: who, why, and what was learnt."""
    text = fill(transfer.policy.briefing, transfer.briefing).strip()
    summary = transfer.briefing["summary"]
    return f"{text} {summary}." if summary and "{summary}" not in transfer.policy.briefing else text


class TransferActivities:
    """Bound to the clients of one worker process."""

    def __init__(self, database: Database, twilio: Twilio, answers: Answers) -> None:
        self._database = database
        self._twilio = twilio
        self._answers = answers
        self._room = TransferRoom(answers)

    @activity.defn
    async def begin_transfer(self, transfer_id: str) -> TransferPlan:
        """Take a transfer up and say how it goes. A customer who is to wait with music is moved at once: until that
        lands there is silence."""
        async with self._database.write() as tx:
            transfer = await transfers.get(tx, transfer_id)
            await transfers.begin(tx, transfer_id)
        policy = transfer.policy
        is_open = policy.business_hours is None or policy.business_hours.is_open(self._database.now())
        waits = is_open and transfer.order is TransferOrder.CUSTOMER_FIRST and transfer.ending is None
        moved = await self.move_customer(transfer_id) if waits else None
        places = [str(place) for place in range(len(policy.agents))]
        groups = [places] if policy.ring == "all_at_once" else [[place] for place in places]
        return TransferPlan(
            team=groups * policy.rounds,
            ring_timeout_s=policy.ring_timeout_s,
            max_wait_s=policy.max_wait_s,
            alone_s=policy.alone_s,
            ended=transfer.ending,
            open=is_open,
            moved=moved,
        )

    @activity.defn
    async def move_customer(self, transfer_id: str) -> bool:
        """Take the customer from the stream into the conference. False when the customer has hung up.

        The stream's socket is closed by Twilio when this lands, never before by us.
        """
        async with self._database.write() as tx:
            transfer = await transfers.get(tx, transfer_id)
            if transfer.joined:
                return True
            # Before the request: one whose answer is lost may have moved the customer all the same.
            await transfers.mark(tx, transfer_id, "customer_moved_at", now=self._database.now())
        try:
            await self._twilio.move_call(transfer.call_sid, self._room.customer(transfer))
        except NotFound:
            return False
        return True

    @activity.defn
    async def dial_human(self, order: DialLeg) -> LegDialled:
        """Ring one human, once."""
        now = self._database.now()
        async with self._database.write() as tx:
            transfer = await transfers.get(tx, order.transfer_id)
            phone = transfer.policy.agents[order.place]
            first = await human_legs.intend_leg(tx, order.leg_id, order.transfer_id, phone, now=now)
            if first is None:
                return LegDialled(ringing=False, taken=True)
            leg = await human_legs.leg(tx, order.leg_id)
        if not first:
            return await self._find(transfer, leg)
        try:
            sid = await self._twilio.place_call(self._call(transfer, leg))
        except TelephonyError as error:
            if error.failure is FailureClass.AMBIGUOUS:
                return await self._find(transfer, leg)
            ending = (
                TransferEnding.INVALID_NUMBER
                if error.failure is FailureClass.PERMANENT
                else TransferEnding.PROVIDER_ERROR
            )
            return await self._not_dialled(leg, ending, str(error))
        async with self._database.write() as tx:
            await human_legs.note_leg(tx, leg.id, sid=sid)
        return LegDialled(ringing=True)

    def _call(self, transfer: TransferCall, leg: Leg) -> PlaceCall:
        return PlaceCall(
            to=leg.phone,
            from_=transfer.from_phone,
            answer=AnswerUrl(self._room.url("human", leg_id=leg.id)),
            status_callback=self._room.url("leg-status", leg_id=leg.id),
            amd_callback=self._room.url("leg-amd", leg_id=leg.id),
            ring_timeout_s=transfer.policy.ring_timeout_s,
            time_limit_s=LONGEST_CALL_S,
        )

    async def _find(self, transfer: TransferCall, leg: Leg) -> LegDialled:
        """A request without an answer: the call is in our facts, in Twilio's list, or it is not.

        Looked for several times: its first callback, and Twilio's list, may be a moment late.
        """
        for pause_s in _LOOK_FOR_IT_S:
            await asyncio.sleep(pause_s)
            if await self._found(transfer, leg):
                return LegDialled(ringing=True)
        return await self._not_dialled(leg, TransferEnding.PROVIDER_ERROR, "the request to Twilio was lost")

    async def _found(self, transfer: TransferCall, leg: Leg) -> bool:
        async with self._database.read() as tx:
            if (await human_legs.leg(tx, leg.id)).sid is not None:
                return True
        since = leg.intended_at - _CLOCK_DIFFERENCE
        for call in await self._twilio.find_calls(leg.phone, transfer.from_phone, since):
            async with self._database.write() as tx:
                if call.created_at >= since and await human_legs.leg_by_sid(tx, call.sid) is None:
                    await human_legs.note_leg(tx, leg.id, sid=call.sid)
                    return True
        return False

    async def _not_dialled(self, leg: Leg, ending: TransferEnding, message: str) -> LegDialled:
        async with self._database.write() as tx:
            await human_legs.note_leg(tx, leg.id, ending=ending, error_message=message, ended_at=self._database.now())
        return LegDialled(ringing=False, ending=ending)

    @activity.defn
    async def check_leg(self, leg_id: str) -> LegEvent:
        """Ask Twilio how a human's phone stands, when nothing was heard of it."""
        async with self._database.read() as tx:
            leg = await human_legs.leg(tx, leg_id)
        if leg.sid is None:
            return LegEvent(leg_id=leg_id, news=LegNews.ENDED)
        try:
            facts = await self._twilio.fetch_call(leg.sid)
            status = facts.status
        except NotFound:
            status = CallStatus.FAILED
        over = status is not None and status.is_terminal
        if over:
            async with self._database.write() as tx:
                await human_legs.note_leg(tx, leg_id, status=status, ended_at=self._database.now())
        return LegEvent(leg_id=leg_id, news=LegNews.ENDED if over else LegNews.ANSWERED, status=status)

    @activity.defn
    async def look_into_conference(self, transfer_id: str) -> list[str | None]:
        """Who is in the conference: leg ids, and None for the customer. Asked when callbacks did not say."""
        async with self._database.read() as tx:
            transfer = await transfers.get(tx, transfer_id)
        inside = await self._twilio.in_conference(transfer.conference_name)
        found: list[str | None] = [None] if transfer.call_sid in inside else []
        async with self._database.read() as tx:
            legs = [await human_legs.leg_by_sid(tx, sid) for sid in inside]
        return found + [leg.id for leg in legs if leg is not None]

    @activity.defn
    async def ending_of_legs(self, leg_ids: list[str]) -> TransferEnding:
        """What came of phones that are over: a talk, if there was one on any; else why nobody came to the last."""
        async with self._database.read() as tx:
            endings = [await human_legs.leg_ending(tx, leg_id) for leg_id in leg_ids]
        return TransferEnding.TALKED if TransferEnding.TALKED in endings else endings[-1]

    @activity.defn
    async def hang_up_legs(self, transfer_id: str, but: str | None) -> None:
        """End every phone of the transfer that rings or talks, except one."""
        async with self._database.read() as tx:
            legs = [leg for leg in await human_legs.live_legs(tx, transfer_id) if leg.id != but]
        for leg in legs:
            if leg.sid is not None:
                await self._twilio.hang_up(leg.sid)
            async with self._database.write() as tx:
                await human_legs.note_leg(tx, leg.id, ended_at=self._database.now())

    @activity.defn
    async def note_connected(self, leg_id: str) -> str:
        """Customer and human hear each other. Returns the human's phone, masked."""
        async with self._database.write() as tx:
            leg = await human_legs.leg(tx, leg_id)
            await transfers.connect(tx, leg.transfer_id, now=self._database.now())
        return mask(leg.phone)

    @activity.defn
    async def end_transfer(self, order: EndTransfer) -> Closed:
        """Close the transfer, and bring the customer back if there was no talk.

        The ending is in the database before the customer is moved, so that the agent knows it.
        """
        async with self._database.write() as tx:
            ending = await transfers.end(
                tx, order.transfer_id, order.ending, returned=order.bring_back, now=self._database.now()
            )
            # Read after that: a customer whose stream broke may have come into the conference a moment before.
            transfer = await transfers.get(tx, order.transfer_id)
        bring_back = order.bring_back and ending is not TransferEnding.TALKED
        if bring_back and not transfer.moved:
            return Closed(ending, True)  # never left the agent, who looks how the transfer stands
        if not bring_back:
            await self._twilio.end_conference(transfer.conference_name)
            return Closed(ending, False)
        back_url = self._answers.url("continue", call_id=transfer.call_id, lead_id=transfer.lead_id)
        try:
            await self._twilio.move_call(transfer.call_sid, twiml.redirect(back_url))
        except NotFound:
            async with self._database.write() as tx:
                await transfers.end(
                    tx,
                    order.transfer_id,
                    TransferEnding.CUSTOMER_HUNG_UP,
                    returned=False,
                    now=self._database.now(),
                )
            return Closed(TransferEnding.CUSTOMER_HUNG_UP, False)
        return Closed(ending, True)
