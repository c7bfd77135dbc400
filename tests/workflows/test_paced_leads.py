"""A lead that was granted a line and waits for its turn at the campaign's rate."""

from breeze_buddy.domain import messages
from breeze_buddy.domain.messages import CancelRequest, lead_workflow_id

from .rig import Rig


async def test_a_lead_cancelled_in_temporal_while_it_waits_for_its_turn_is_not_called(rig: Rig) -> None:
    """By a signal alone, as an operator of Temporal may send it."""
    first, second = rig.person(), rig.person()
    number = await rig.number(channels=2)
    campaign_id = await rig.created([first, second], number=number, pacing={"calls_per_second": 0.02})
    (await rig.api.post(f"/campaigns/{campaign_id}/start")).raise_for_status()
    await rig.until(lambda: called_once(rig, first, second))
    waiting = second if rig.calls_to(first) else first
    lead = await rig.lead_in(waiting, "PROCESSING")
    handle = rig.client.get_workflow_handle(lead_workflow_id(lead["id"]))
    await handle.signal(messages.CANCEL, CancelRequest(reason="told so in the UI"))
    assert (await rig.lead_in(waiting, "FINISHED"))["outcome"] == "CANCELLED"
    assert rig.calls_to(waiting) == []
    # It asked once to be withdrawn and once to dial, not again and again.
    history = await handle.fetch_history()
    assert len(history.events) < 40


async def called_once(rig: Rig, *phones: str) -> bool:
    leads = [await rig.lead(phone) for phone in phones]
    return sum(len(rig.calls_to(phone)) for phone in phones) == 1 and all(lead["status"] != "BACKLOG" for lead in leads)
