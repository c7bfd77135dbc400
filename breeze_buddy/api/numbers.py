"""Our phone numbers over REST.

A number with an inbound policy has its webhooks at Twilio set by us. Twilio is asked first, in one request:
when it refuses, nothing has changed on either side.
"""

from fastapi import APIRouter, status

from breeze_buddy.activities.clients import twilio_client
from breeze_buddy.api.context import AContext, Context
from breeze_buddy.api.inbound_callbacks import webhooks
from breeze_buddy.domain import messages
from breeze_buddy.domain.inbound import InboundPolicy
from breeze_buddy.domain.number import Number, NumberInput, NumberUpdate
from breeze_buddy.store import campaigns, numbers, templates

router = APIRouter(prefix="/numbers", tags=["numbers"])

_REFUSALS: dict[int | str, dict[str, str]] = {
    502: {"description": "Twilio refused to send us the number's calls; nothing was changed"}
}


@router.post("", status_code=status.HTTP_201_CREATED, responses=_REFUSALS)
async def create(context: AContext, number: NumberInput) -> Number:
    """Register a number that the Twilio account owns. 409 when it is registered.

    With an inbound policy, calls to it come here from now on.
    """
    if number.inbound is not None:
        await _check_template(context, number.inbound)
        async with context.database.read() as tx:
            await numbers.check_new(tx, number.phone)
        await _answer_calls_to(context, number.phone)
    async with context.database.write() as tx:
        return await numbers.create(tx, number, now=context.database.now())


@router.get("")
async def list_all(context: AContext) -> list[Number]:
    """All registered numbers."""
    async with context.database.read() as tx:
        return await numbers.listed(tx)


@router.get("/{number_id}")
async def read(context: AContext, number_id: str) -> Number:
    """One number."""
    async with context.database.read() as tx:
        return await numbers.get(tx, number_id)


@router.patch("/{number_id}", responses=_REFUSALS)
async def change(context: AContext, number_id: str, wanted: NumberUpdate) -> Number:
    """Change its channels, its answer to calls, or switch it off or on; calls that are on go on.

    New lines are used at once. `inbound: null` takes the policy away: calls to the number are refused.
    """
    if wanted.inbound is not None:
        async with context.database.read() as tx:
            phone = (await numbers.get(tx, number_id)).phone
        await _check_template(context, wanted.inbound)
        await _answer_calls_to(context, phone)
    async with context.database.write() as tx:
        number = await numbers.change(tx, number_id, wanted)
        # Whether they have to wake at the end of the day they know from when they last looked.
        asleep = await campaigns.calling_from(tx, number_id) if number.enabled and number.daily_cap is not None else []
    await context.dispatcher.dispatch()
    for campaign in asleep:
        await context.signals.wake_campaign(campaign, messages.LEADS_ADDED)
    return number


async def _check_template(context: Context, policy: InboundPolicy) -> None:
    async with context.database.read() as tx:
        await templates.get(tx, policy.template_id)


async def _answer_calls_to(context: Context, phone: str) -> None:
    async with twilio_client(context.settings) as twilio:
        await twilio.answer_calls_to(phone, webhooks(context))
