"""Twilio's side: status, recording and machine detection callbacks, and the TwiML of answered calls.

Every request must carry Twilio's signature for the public URL; without one nothing is read or written.
A callback is in the database before it is acknowledged; the signal it causes is sent at once when
Temporal answers, and by the relay when it does not.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response, status

from breeze_buddy.activities.relay import deliver
from breeze_buddy.activities.signals import Unreachable
from breeze_buddy.activities.transfers import TransferRoom
from breeze_buddy.api.context import AContext, Context
from breeze_buddy.domain.call import Direction
from breeze_buddy.store import callbacks, conversations, transfers
from breeze_buddy.store.callbacks import Delivery, Received
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.errors import Unavailable
from breeze_buddy.store.limits import within
from breeze_buddy.telephony import twiml
from breeze_buddy.telephony.callbacks import (
    AmdCallback,
    RecordingCallback,
    StatusCallback,
    dedupe_key,
)

logger = logging.getLogger(__name__)

PREFIX = "/twilio/callback"
MAX_BYTES = 64 * 1024  # Twilio's forms are a few kilobytes
router = APIRouter(prefix=PREFIX, tags=["twilio"])

# A stream that fails again and again: so many are offered for one call, each after a longer pause.
_MOST_STREAMS = 6
# Seconds that a call without a router waits for its stream to be counted.
_COUNT_LIMIT_S = 1.0
_PROBLEM = "We are sorry, we have a technical problem."
_APOLOGIES = {
    Direction.OUTBOUND: f"{_PROBLEM} We will call you again. Goodbye.",
    Direction.INBOUND: f"{_PROBLEM} Please call again later. Goodbye.",
}


@dataclass(frozen=True, slots=True)
class Signed:
    """A form whose signature was valid."""

    form: dict[str, str]
    pairs: list[tuple[str, str]]
    idempotency_token: str | None


async def signed_form(context: AContext, request: Request) -> Signed:
    """The form of a request that Twilio signed; 403 for any other."""
    form = await request.form()
    pairs = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if not context.signatures.is_valid(path, pairs, request.headers.get("X-Twilio-Signature")):
        logger.warning("a callback without a valid signature was refused: %s", request.url.path)
        raise HTTPException(
            status.HTTP_403_FORBIDDEN, "the signature is not Twilio's for PUBLIC_URL and TWILIO_AUTH_TOKEN"
        )
    return Signed(dict(pairs), pairs, request.headers.get("I-Twilio-Idempotency-Token"))


ASigned = Annotated[Signed, Depends(signed_form)]
Take = Callable[[Transaction, Received], Awaitable[Delivery | None]]


async def _take(context: Context, kind: str, call_id: str, signed: Signed, take: Take) -> Response:
    """Write a callback, then tell the workflow whose course it changes."""
    key = dedupe_key(signed.pairs, signed.idempotency_token)
    received = Received(kind, f"{kind}:{key}", call_id, signed.form, context.database.now())
    async with context.database.write() as tx:
        delivery = await take(tx, received)
    if delivery is not None:
        try:
            await deliver(context.database, context.signals, delivery)
        except Unreachable as error:
            logger.warning("a callback waits for the relay: %s", error, extra={"call_id": call_id})
    return Response(status_code=status.HTTP_204_NO_CONTENT)


@router.post("/status", status_code=status.HTTP_204_NO_CONTENT)
async def call_status(context: AContext, signed: ASigned, call_id: str) -> Response:
    """News of a call: initiated, ringing, answered, or how it ended."""
    return await take_status(context, signed, call_id)


async def take_status(context: Context, signed: Signed, call_id: str) -> Response:
    """Keep a status callback of this call, and tell its workflow."""
    callback = StatusCallback.parse(signed.form)
    _log_ignored(callback.ignored, call_id)
    return await _take(
        context, "status", call_id, signed, lambda tx, got: callbacks.take_call_facts(tx, got, callback.facts())
    )


@router.post("/details", status_code=status.HTTP_204_NO_CONTENT)
async def recording_details(context: AContext, signed: ASigned, call_id: str) -> Response:
    """News of a recording: its URL and length, or that there is none."""
    callback = RecordingCallback.parse(signed.form)
    _log_ignored(callback.ignored, call_id)
    return await _take(
        context, "details", call_id, signed, lambda tx, got: callbacks.take_recording_facts(tx, got, callback.facts())
    )


@router.post("/amd", status_code=status.HTTP_204_NO_CONTENT)
async def machine_detection(context: AContext, signed: ASigned, call_id: str) -> Response:
    """Who answered: a human or a machine."""
    callback = AmdCallback.parse(signed.form)
    _log_ignored(callback.ignored, call_id)
    return await _take(
        context, "amd", call_id, signed, lambda tx, got: callbacks.take_call_facts(tx, got, callback.facts())
    )


def _log_ignored(reasons: tuple[str, ...], call_id: str) -> None:
    for reason in reasons:
        logger.warning("a field of a callback was left out: %s", reason, extra={"call_id": call_id})


@router.post("/answer")
async def answer(context: AContext, signed: ASigned, call_id: str, lead_id: str = "") -> Response:
    """The callee has answered: the Smart Router says which media server takes the call."""
    try:
        found = await context.router.allocate(call_id)
    except Unavailable as error:
        return await _without_router(context, call_id, lead_id, error)
    if found.stream_url is None:
        return await no_media(context, call_id, Direction.OUTBOUND, "no pod is ready with a free place")
    return _connect(context, call_id, found.lead_id, found.stream_url)


@router.post("/twiml-fallback")
async def twiml_fallback(context: AContext, signed: ASigned, call_id: str, lead_id: str = "") -> Response:
    """Twilio had no good answer to another request: the media server of the settings takes the call."""
    reason = f"Twilio came to the fallback: {signed.form.get('ErrorCode', 'no code')}"
    return await _without_router(context, call_id, lead_id, reason)


@router.post("/continue")
async def go_on(context: AContext, signed: ASigned, call_id: str, lead_id: str = "") -> Response:
    """Our side has closed the stream: hang up after a conversation that ended, and go on with one that did not."""
    async with context.database.read() as tx:
        standing = await conversations.standing(tx, call_id)
        waits = await conversations.transfer_is_open(tx, call_id)
    if standing.reported or standing.ended:
        return _twiml(twiml.hang_up())
    if waits and (text := await _music(context, call_id)):
        return _twiml(text)
    if standing.streams >= _MOST_STREAMS:
        return await no_media(context, call_id, standing.direction, f"{standing.streams} streams broke")
    try:
        found = await context.router.reallocate(call_id)
    except Unavailable as error:
        return await _without_router(context, call_id, lead_id, error)
    pause_s = max(standing.streams - 1, 0)
    if found.stream_url is None:
        # Somebody is on the phone: a pod that comes back within seconds is worth the silence.
        return _twiml(twiml.wait(pause_s + 1, context.answers.url("continue", call_id=call_id, lead_id=lead_id)))
    return _connect(context, call_id, found.lead_id, found.stream_url, pause_s=pause_s)


async def _music(context: Context, call_id: str) -> str | None:
    """The stream of somebody who waits for a human broke: they wait on with music, which needs no media server."""
    async with context.database.write() as tx:
        transfer = await transfers.hold_instead(tx, call_id, now=context.database.now())
    return TransferRoom(context.answers).customer(transfer) if transfer is not None else None


def _connect(context: Context, call_id: str, lead_id: str | None, stream_url: str, *, pause_s: int = 0) -> Response:
    """Offer a stream for the call."""
    text = context.answers.stream(
        stream_url, call_id=call_id, lead_id=lead_id or "", now=context.database.now(), pause_s=pause_s
    )
    return _twiml(text)


async def _without_router(context: Context, call_id: str, lead_id: str, why: object) -> Response:
    """The stream of the settings, which needs no database; that it was offered is counted if that is quick."""
    logger.warning("the call gets STREAM_URL without the router: %s", why, extra={"call_id": call_id})
    try:
        await within(_COUNT_LIMIT_S, _count_stream(context, call_id))
    except Unavailable as error:
        logger.warning("a stream was not counted: %s", error, extra={"call_id": call_id})
    return _connect(context, call_id, lead_id, context.settings.stream_url)


async def _count_stream(context: Context, call_id: str) -> None:
    async with context.database.write() as tx:
        await conversations.count_stream(tx, call_id)


async def no_media(context: Context, call_id: str, direction: Direction, why: str) -> Response:
    """Nobody can talk to the person now: an apology, and a lead that we called goes back to the backlog."""
    logger.error("the call is ended with an apology: %s", why, extra={"call_id": call_id})
    async with context.database.write() as tx:
        await conversations.mark_no_media(tx, call_id)
    return apology(direction)


def apology(direction: Direction) -> Response:
    """What somebody hears when everything else has failed."""
    return _twiml(twiml.apology(_APOLOGIES[direction]))


def _twiml(text: str) -> Response:
    return Response(text, media_type="text/xml")
