"""A campaign that lives long goes on with an empty history, and nobody notices."""

from datetime import timedelta

from breeze_buddy.domain import messages
from breeze_buddy.domain.messages import campaign_workflow_id

from .rig import Rig


async def test_a_campaign_with_a_long_history_continues_as_new_and_heeds_its_signals(rig: Rig) -> None:
    later = (rig.clock() + timedelta(days=1)).isoformat()
    phone = rig.person()
    campaign_id = await rig.created([{"phone": phone, "not_before": later}], number=await rig.number(channels=1))
    (await rig.api.post(f"/campaigns/{campaign_id}/start")).raise_for_status()
    handle = rig.client.get_workflow_handle(campaign_workflow_id(campaign_id))
    first = (await handle.describe()).run_id

    async def paced(weight: float) -> bool:
        return bool((await rig.api.get(f"/campaigns/{campaign_id}")).json()["weight"] == weight)

    for weight in range(2, 42):
        await handle.signal(messages.UPDATE_PACING, {"weight": weight})
        await rig.until(lambda wanted=weight: paced(wanted))  # type: ignore[misc]
        if (await handle.describe()).run_id != first:
            break
    else:
        raise AssertionError("the history only grows")
    await rig.skip(timedelta(days=1, seconds=5))
    assert (await rig.lead_in(phone, "FINISHED"))["outcome"] is not None
    assert len(rig.calls_to(phone)) >= 1
    with rig.environment.auto_time_skipping_disabled():
        assert (await handle.result())["status"] == "COMPLETED"
