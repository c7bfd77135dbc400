"""From a definition to a campaign with leads in the backlog: for the API, and for workflows started by hand.

Everything is checked before anything is written; a definition that is repeated with the same request_id
gives the campaign that is there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from breeze_buddy.domain.campaign import Campaign, CampaignDefinition, Pacing
from breeze_buddy.domain.do_not_call import LISTED
from breeze_buddy.domain.errors import DomainError, MissingVariables
from breeze_buddy.domain.lead import LeadInput
from breeze_buddy.domain.template import StoredTemplate, Template
from breeze_buddy.store import campaigns, do_not_call, leads, numbers, templates
from breeze_buddy.store.database import Transaction, serialise_enrolment
from breeze_buddy.store.leads import NewLead

# A request that was on its way when its time came is in time.
_LATE = timedelta(minutes=5)


class StartInThePast(DomainError):
    """A campaign that is to start at a time that is over."""

    code = "start_in_the_past"


class NoNumbers(DomainError):
    """A campaign that has no number to call from."""

    code = "no_numbers"


@dataclass(frozen=True, slots=True)
class RefusedLead:
    """A lead that was not written: its place among those given (from 0), the field and the reason.

    `listed`: nothing is wrong with it but that its phone is on the do-not-call list.
    """

    row: int
    field: str
    reason: str
    listed: bool = False


@dataclass(frozen=True, slots=True)
class CheckedLeads:
    """Leads ready to be written, and the others."""

    ready: list[NewLead]
    refused: list[RefusedLead]


@dataclass(frozen=True, slots=True)
class NewCampaign:
    """A campaign and what became of the leads that came with its definition."""

    campaign: Campaign
    accepted: int
    duplicates: int
    refused: list[RefusedLead]


async def check_leads(
    tx: Transaction, template: Template, given: Sequence[LeadInput], *, now: datetime
) -> CheckedLeads:
    """Sort leads into those that may be called and have all variables of the template, and the others."""
    ready: list[NewLead] = []
    refused: list[RefusedLead] = []
    listed = await do_not_call.listed_among(tx, [lead.phone for lead in given])
    for row, lead in enumerate(given):
        if lead.phone in listed:
            refused.append(RefusedLead(row, "phone", LISTED, listed=True))
            continue
        try:
            ready.append(new_lead(template, lead, now=now))
        except MissingVariables as error:
            refused.append(RefusedLead(row, "variables", str(error)))
    return CheckedLeads(ready, refused)


def new_lead(template: Template, lead: LeadInput, *, now: datetime) -> NewLead:
    """A lead that is due now, or when it wants to be. Raises MissingVariables.

    Its calling window is dispatch's concern: it may change while the lead waits.
    """
    template.check_variables(lead.variables)
    return NewLead(lead, max(now, lead.not_before or now))


async def enrol(
    tx: Transaction,
    definition: CampaignDefinition,
    *,
    default_number: str | None,
    now: datetime,
    workflow_id: str | None = None,
) -> NewCampaign:
    """Write a campaign with its leads. Raises NotFound for a template or number, and NoNumbers."""
    await serialise_enrolment(tx)
    if definition.request_id is not None:
        there = await campaigns.by_request(tx, definition.request_id)
        if there is not None:
            return NewCampaign(there, accepted=0, duplicates=len(definition.leads), refused=[])
    if definition.start_at is not None and definition.start_at < now - _LATE:
        raise StartInThePast(f"start_at was at {definition.start_at.isoformat()}: leave it out to start by hand")
    stored = await _template(tx, definition, now=now)
    number_ids = await resolve_numbers(tx, definition.numbers, default_number=default_number, now=now)
    campaign = await campaigns.create(
        tx,
        name=definition.name,
        template_id=stored.id,
        number_ids=number_ids,
        pacing=Pacing.model_validate({name: getattr(definition, name) for name in Pacing.model_fields}),
        pool=definition.pool,
        start_at=definition.start_at,
        recurrence=definition.recurrence,
        circuit_breaker=definition.circuit_breaker,
        request_id=definition.request_id,
        workflow_id=workflow_id,
        now=now,
    )
    checked = await check_leads(tx, stored.template, definition.leads, now=now)
    added = await leads.add(tx, campaign.id, checked.ready, now=now)
    return NewCampaign(
        await campaigns.get(tx, campaign.id), len(added.ids), duplicates=added.duplicates, refused=checked.refused
    )


async def standing_campaign(
    tx: Transaction, stored: StoredTemplate, *, default_number: str | None, now: datetime
) -> Campaign:
    """The campaign of leads pushed alone with this template, on all registered numbers. Raises NoNumbers."""
    there = await campaigns.standing_of(tx, stored.id)
    if there is None:
        await serialise_enrolment(tx)
        there = await campaigns.standing_of(tx, stored.id)
    if there is not None:
        return await campaigns.use_all_numbers(tx, there)
    registered = tuple(number.phone for number in await numbers.listed(tx) if number.enabled)
    number_ids = await resolve_numbers(tx, registered, default_number=default_number, now=now)
    return await campaigns.create(
        tx,
        name=f"{stored.template.name}: single leads",
        template_id=stored.id,
        number_ids=number_ids,
        pacing=Pacing(),
        now=now,
        standing=True,
    )


async def resolve_numbers(
    tx: Transaction, phones: tuple[str, ...], *, default_number: str | None, now: datetime
) -> list[str]:
    """Ids of the named numbers, or of the default one. Raises NotFound or NoNumbers."""
    if phones:
        return await numbers.ids_of(tx, phones)
    if default_number is None:
        raise NoNumbers("no number to call from: name registered numbers, or set TWILIO_PHONE_NUMBER")
    return [await numbers.ensure(tx, default_number, now=now)]


async def _template(tx: Transaction, definition: CampaignDefinition, *, now: datetime) -> StoredTemplate:
    if definition.template is not None:
        return await templates.register(tx, definition.template, now=now)
    if definition.template_id is not None:
        return await templates.get(tx, definition.template_id)
    return await templates.by_name(tx, definition.template_name or "")
