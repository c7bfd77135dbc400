"""Twilio's side of calls to our numbers: what to do with one, also when that failed, and how it ended.

The decision is in the database before Twilio has its answer; the workflow that follows the call is started
afterwards, so that nobody waits on the phone for Temporal. When that fails, the relay starts it.
"""

import logging

from fastapi import APIRouter, BackgroundTasks, Response, status

from breeze_buddy.activities.signals import Unreachable
from breeze_buddy.api.context import AContext, Context
from breeze_buddy.api.twilio_callbacks import ASigned, Signed, apology, no_media, take_status
from breeze_buddy.domain.call import Direction
from breeze_buddy.domain.inbound import TurnedAway
from breeze_buddy.domain.messages import InboundStart
from breeze_buddy.store import inbound
from breeze_buddy.store.errors import NotFound, Unavailable
from breeze_buddy.store.inbound import Declined, InboundAnswer, Ringing, Taken
from breeze_buddy.store.limits import within
from breeze_buddy.telephony import inbound_twiml, twiml
from breeze_buddy.telephony.callbacks import IncomingCall
from breeze_buddy.telephony.client import NumberWebhooks

logger = logging.getLogger(__name__)

router = APIRouter(prefix="/twilio/callback", tags=["twilio"], include_in_schema=True)

# Twilio waits fifteen seconds in all; a rush on SQLite queues up for some of them.
_DECISION_LIMIT_S = 12.0


def webhooks(context: Context) -> NumberWebhooks:
    """What is set at Twilio for a number whose calls the platform answers."""
    return webhooks_at(context.settings.public_url)


def webhooks_at(public_url: str) -> NumberWebhooks:
    """The same, for an API at `public_url`."""
    below = f"{public_url.rstrip('/')}/twilio/callback"
    return NumberWebhooks(
        voice_url=f"{below}/inbound",
        voice_fallback_url=f"{below}/inbound-fallback",
        status_callback=f"{below}/inbound-status",
    )


@router.post("/inbound")
async def ring(context: AContext, signed: ASigned, later: BackgroundTasks) -> Response:
    """Somebody calls one of our numbers: the agent takes the call, or the caller gets what the number's setting says.

    503 when the database does not answer; then Twilio comes to the fallback.
    """
    call = _read(signed)
    try:
        decided = await within(_DECISION_LIMIT_S, _decide(context, call))
    except NotFound:
        return _unknown_number()
    if isinstance(decided, Declined):
        return _decline(decided)
    later.add_task(_follow, context, decided.start)
    try:
        found = await context.router.allocate(decided.start.call_id)
    except Unavailable as error:
        logger.warning("the call gets STREAM_URL without the router: %s", error, extra=_about(decided.start))
        return _talk(context, decided, context.settings.stream_url)
    if found.stream_url is None:
        return await no_media(context, decided.start.call_id, Direction.INBOUND, "no pod is ready with a free place")
    return _talk(context, decided, found.stream_url)


@router.post("/inbound-fallback")
async def ring_again(context: AContext, signed: ASigned, later: BackgroundTasks) -> Response:
    """Twilio had no good answer to the first request: the media server of the settings takes the call, or a message."""
    call = _read(signed)
    logger.warning("Twilio came to the fallback of call %s: %s", call.sid, signed.form.get("ErrorCode", "no code"))
    try:
        decided = await within(_DECISION_LIMIT_S, _decide(context, call))
    except NotFound:
        return _unknown_number()
    except Unavailable as error:
        logger.error("a call to us is ended with an apology: %s", error)
        return apology(Direction.INBOUND)
    if isinstance(decided, Declined):
        return _decline(decided)
    later.add_task(_follow, context, decided.start)
    return _talk(context, decided, context.settings.stream_url)


@router.post("/inbound-status", status_code=status.HTTP_204_NO_CONTENT)
async def ended(context: AContext, signed: ASigned) -> Response:
    """How a call to one of our numbers ended: it is known by its CallSid. 404 for one that never came here."""
    async with context.database.read() as tx:
        call_id = await inbound.id_of(tx, signed.form.get("CallSid", ""))
    return await take_status(context, signed, call_id)


def _read(signed: Signed) -> Ringing:
    call = IncomingCall.parse(signed.form)
    return Ringing(sid=call.call_sid, from_phone=call.from_phone, to_phone=call.to_phone)


async def _decide(context: Context, call: Ringing) -> InboundAnswer:
    async with context.database.write() as tx:
        return await inbound.answer(tx, call, now=context.database.now())


async def _follow(context: Context, start: InboundStart) -> None:
    try:
        await context.signals.follow_inbound(start)
    except Unreachable as error:
        logger.warning("an inbound call waits for the relay: %s", error, extra=_about(start))


def _talk(context: Context, taken: Taken, stream_url: str) -> Response:
    stream = context.answers.recorded_stream if taken.record else context.answers.stream
    start = taken.start
    return _twiml(stream(stream_url, call_id=start.call_id, lead_id=start.lead_id or "", now=context.database.now()))


def _decline(declined: Declined) -> Response:
    instead = declined.instead
    if instead.action == "message":
        return _twiml(twiml.apology(instead.message))
    if instead.action == "redirect" and instead.redirect_to is not None:
        return _twiml(inbound_twiml.redirect(instead.redirect_to))
    return _twiml(inbound_twiml.reject("busy" if declined.why is TurnedAway.FULL else "rejected"))


def _unknown_number() -> Response:
    logger.error("somebody called a number that is not registered: register it, or change its webhook at Twilio")
    return _twiml(inbound_twiml.reject("rejected"))


def _about(start: InboundStart) -> dict[str, str]:
    return {"call_id": start.call_id}


def _twiml(text: str) -> Response:
    return Response(text, media_type="text/xml")
