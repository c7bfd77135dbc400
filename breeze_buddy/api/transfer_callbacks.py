"""Twilio's side of a warm transfer: what the human's phone does, who is in the conference, what waiting sounds like."""

import logging

from fastapi import APIRouter, Response, status

from breeze_buddy.activities.relay import deliver
from breeze_buddy.activities.signals import Unreachable
from breeze_buddy.activities.transfers import TransferRoom, briefing_of
from breeze_buddy.api.context import AContext, Context
from breeze_buddy.api.hold_music import HOLD_MUSIC_WAV
from breeze_buddy.api.twilio_callbacks import ASigned, Signed
from breeze_buddy.domain.call import AnsweredBy, CallStatus
from breeze_buddy.domain.messages import (
    CONFERENCE_NEWS,
    LEG_NEWS,
    ConferenceEvent,
    LegEvent,
    LegNews,
    transfer_workflow_id,
)
from breeze_buddy.domain.transfer import TransferEnding
from breeze_buddy.store import callbacks, human_legs, transfers
from breeze_buddy.store.callbacks import Delivery, Received
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.transfers import TransferCall
from breeze_buddy.telephony import conference_twiml, twiml
from breeze_buddy.telephony.callbacks import AmdCallback, StatusCallback, dedupe_key
from breeze_buddy.telephony.conference_twiml import ACCEPT_DIGIT

logger = logging.getLogger(__name__)

router = APIRouter(prefix="/twilio/callback/transfer", tags=["twilio"])

_ACCEPT_WAIT_S = 8
_OVER = {status.value for status in CallStatus if status.is_terminal}
_TAKEN = "The call has been taken by somebody else. Goodbye."


def twiml_answer(text: str) -> Response:
    """TwiML as an answer to Twilio."""
    return Response(text, media_type="text/xml")


async def _send(context: Context, delivery: Delivery | None) -> Response:
    if delivery is not None:
        try:
            await deliver(context.database, context.signals, delivery)
        except Unreachable as error:
            logger.warning("news of a transfer waits for the relay: %s", error)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


async def _keep(
    context: Context, tx: Transaction, signed: Signed, transfer: TransferCall, event: LegEvent | ConferenceEvent
) -> Delivery | None:
    """Write down what the transfer's workflow has to hear."""
    kind, signal = ("leg", LEG_NEWS) if isinstance(event, LegEvent) else ("conference", CONFERENCE_NEWS)
    key = dedupe_key(signed.pairs, signed.idempotency_token)
    received = Received(kind, f"{kind}:{key}", transfer.call_id, signed.form, context.database.now())
    return await callbacks.keep(tx, received, transfer_workflow_id(transfer.call_sid), signal, event)


@router.post("/human")
async def human_answers(context: AContext, signed: ASigned, leg_id: str) -> Response:
    """A human of the team has picked up: the briefing, then `accept`, at once or after a digit."""
    async with context.database.write() as tx:
        leg = await human_legs.leg(tx, leg_id)
        transfer = await transfers.get(tx, leg.transfer_id)
        await human_legs.note_leg(tx, leg_id, answered_at=context.database.now())
    if transfer.ended or leg.ended:
        return twiml_answer(twiml.hang_up())
    briefing = briefing_of(transfer)
    accept_url = TransferRoom(context.answers).url("accept", leg_id=leg_id)
    if transfer.policy.accept == "digit":
        return twiml_answer(
            conference_twiml.ask_human(briefing=briefing, accept_url=accept_url, timeout_s=_ACCEPT_WAIT_S)
        )
    return twiml_answer(conference_twiml.brief_human(briefing=briefing, accept_url=accept_url))


@router.post("/accept")
async def human_accepts(context: AContext, signed: ASigned, leg_id: str) -> Response:
    """The human has heard the briefing. Where a digit is asked for, 1 takes the call, anything else declines it."""
    async with context.database.write() as tx:
        leg = await human_legs.leg(tx, leg_id)
        transfer = await transfers.get(tx, leg.transfer_id)
        if transfer.policy.accept == "digit" and signed.form.get("Digits") != ACCEPT_DIGIT:
            event: LegEvent | None = LegEvent(leg_id=leg_id, news=LegNews.DECLINED)
            await human_legs.note_leg(tx, leg_id, ending=TransferEnding.DECLINED)
            answer = twiml.hang_up()
        elif await human_legs.accept_leg(tx, leg_id, now=context.database.now()):
            event = LegEvent(leg_id=leg_id, news=LegNews.ACCEPTED)
            answer = conference_twiml.human(TransferRoom(context.answers).of(transfer))
        else:
            event = None
            answer = twiml.hang_up() if transfer.ended else twiml.apology(_TAKEN)
        delivery = await _keep(context, tx, signed, transfer, event) if event is not None else None
    await _send(context, delivery)
    return twiml_answer(answer)


@router.post("/leg-status", status_code=status.HTTP_204_NO_CONTENT)
async def leg_status(context: AContext, signed: ASigned, leg_id: str) -> Response:
    """News of a human's phone: it rings, is answered, or is over."""
    facts = StatusCallback.parse(signed.form).facts()
    async with context.database.write() as tx:
        leg = await human_legs.leg(tx, leg_id)
        transfer = await transfers.get(tx, leg.transfer_id)
        over = facts.status is not None and facts.status.is_terminal
        if over:
            await human_legs.leg_over(tx, leg_id, facts, now=context.database.now())
        else:
            await human_legs.note_leg(tx, leg_id, sid=facts.sid)
        delivery = None
        if over:
            event = LegEvent(leg_id=leg_id, news=LegNews.ENDED, status=facts.status)
            delivery = await _keep(context, tx, signed, transfer, event)
    return await _send(context, delivery)


@router.post("/leg-amd", status_code=status.HTTP_204_NO_CONTENT)
async def leg_machine(context: AContext, signed: ASigned, leg_id: str) -> Response:
    """Who answered a human's phone; a machine is hung up on."""
    facts = AmdCallback.parse(signed.form).facts()
    async with context.database.write() as tx:
        leg = await human_legs.leg(tx, leg_id)
        transfer = await transfers.get(tx, leg.transfer_id)
        await human_legs.note_leg(tx, leg_id, answered_by=facts.answered_by)
        delivery = None
        if facts.answered_by in (AnsweredBy.MACHINE, AnsweredBy.FAX):
            await human_legs.machine_answered(tx, leg_id)
            event = LegEvent(leg_id=leg_id, news=LegNews.MACHINE)
            delivery = await _keep(context, tx, signed, transfer, event)
    return await _send(context, delivery)


@router.post("/conference", status_code=status.HTTP_204_NO_CONTENT)
async def conference_news(context: AContext, signed: ASigned, transfer_id: str) -> Response:
    """Who came into the conference, and who left it."""
    form = signed.form
    joined = {"participant-join": True, "participant-leave": False}.get(form.get("StatusCallbackEvent", ""))
    now = context.database.now()
    async with context.database.write() as tx:
        transfer = await transfers.get(tx, transfer_id)
        if form.get("ConferenceSid"):
            await transfers.note_conference(tx, transfer_id, form["ConferenceSid"])
        if joined is None:
            return Response(status_code=status.HTTP_204_NO_CONTENT)
        sid = form.get("CallSid", "")
        leg = await human_legs.leg_by_sid(tx, sid)
        if leg is None and sid != transfer.call_sid:
            return Response(status_code=status.HTTP_204_NO_CONTENT)
        if leg is None and joined:
            await transfers.mark(tx, transfer_id, "customer_joined_at", now=now)
        if leg is not None and joined:
            await human_legs.note_leg(tx, leg.id, joined_at=now)
        if joined and await human_legs.both_are_there(tx, transfer_id):
            await transfers.connect(tx, transfer_id, now=now)
        event = ConferenceEvent(
            conference_sid=form.get("ConferenceSid", ""),
            joined=joined,
            leg_id=leg.id if leg else None,
            hung_up=not joined and form.get("ParticipantCallStatus") in _OVER,
        )
        delivery = await _keep(context, tx, signed, transfer, event)
    return await _send(context, delivery)


@router.post("/hold")
async def hold(context: AContext, signed: ASigned, transfer_id: str) -> Response:
    """What the customer hears while waiting: music, a kind word, the place in the queue."""
    async with context.database.read() as tx:
        transfer = await transfers.get(tx, transfer_id)
        place = await transfers.position(tx, transfer_id)
    comfort = transfer.policy.comfort
    if place > 1:
        comfort = f"{comfort} You are number {place} in the queue."
    music_url = f"{context.settings.public_url.rstrip('/')}{router.prefix}/hold-music.wav"
    return twiml_answer(conference_twiml.music(music_url=music_url, comfort=comfort))


@router.get("/hold-music.wav", include_in_schema=False)
async def hold_music() -> Response:
    """The music itself; nobody's secret, so unsigned."""
    return Response(HOLD_MUSIC_WAV, media_type="audio/wav", headers={"Cache-Control": "max-age=86400"})


@router.post("/after")
async def after(context: AContext, signed: ASigned, transfer_id: str) -> Response:
    """The customer's conference is over: goodbye after a talk; otherwise wait on, or go on with the agent."""
    async with context.database.write() as tx:
        transfer = await transfers.get(tx, transfer_id)
        if transfer.connected:
            return twiml_answer(twiml.hang_up())
        if not transfer.ended:
            transfer = await transfers.renew_conference(tx, transfer_id)
            return twiml_answer(TransferRoom(context.answers).customer(transfer))
    # As after a stream: goodbye, or another stream when the conversation is to go on.
    return twiml_answer(
        twiml.redirect(context.answers.url("continue", call_id=transfer.call_id, lead_id=transfer.lead_id))
    )
