"""The do-not-call list and campaigns whose definition is given to Temporal."""

from tests.workflows.rig import Rig


async def test_listed_phones_are_left_out_of_a_definition_and_counted_and_the_others_are_called(rig: Rig) -> None:
    listed, other = rig.person(), rig.person()
    await rig.api.post("/do-not-call", json={"phone": listed})
    name = "with-somebody-listed"
    definition = {
        "name": name,
        "template": {
            "name": name,
            "flow": {"nodes": {"start": {"say": "Hi.", "then": {"action": "end_conversation"}}}},
        },
        "numbers": [await rig.number()],
        "leads": [{"phone": listed}, {"phone": other}],
    }
    handle = await rig.client.start_workflow(
        "CampaignWorkflow", definition, id=name, task_queue=rig.settings.temporal_task_queue
    )
    result = await handle.result()
    assert result["leads"] == 1
    await rig.lead_in(other, "FINISHED")
    assert (await rig.api.get("/leads", params={"phone": listed})).json()["items"] == []
    history = await handle.fetch_history()
    completed = [event.activity_task_completed_event_attributes for event in history.events]
    first = next(attributes.result.payloads[0].data for attributes in completed if attributes.result.payloads)
    assert b'"on_do_not_call_list":1' in first
