"""What travels through Temporal."""

import pytest
from pydantic import ValidationError

from breeze_buddy.domain import messages
from breeze_buddy.domain.campaign import CampaignDefinition
from breeze_buddy.domain.messages import CampaignStart

INLINE = {
    "name": "July orders",
    "template_name": "order-confirmation",
    "max_concurrent_calls": 3,
    "leads": [{"phone": "+1 415 555 0123", "variables": {"name": "Asha"}}],
}


def test_a_campaign_is_started_by_its_id():
    start = CampaignStart.model_validate({"campaign_id": "c1"})
    assert (start.campaign_id, start.definition()) == ("c1", None)


def test_a_campaign_is_started_by_its_whole_definition():
    definition = CampaignStart.model_validate(INLINE).definition()
    assert definition == CampaignDefinition.model_validate(INLINE)
    assert definition.leads[0].phone == "+14155550123"


@pytest.mark.parametrize("given", [{"campaign_id": "c1"}, INLINE])
def test_the_input_survives_the_way_through_temporal(given):
    start = CampaignStart.model_validate(given)
    again = CampaignStart.model_validate_json(start.model_dump_json())
    assert (again.campaign_id, again.definition()) == (start.campaign_id, start.definition())


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"campaign_id": "c1", **INLINE}, "not several"),
        ({}, "name"),
        ({**INLINE, "template_id": "t1"}, "exactly one of template_id, template_name and template"),
        ({**INLINE, "leads": [{"phone": "hello"}]}, "not a phone number"),
        ({**INLINE, "max_concurent_calls": 3}, "max_concurent_calls"),
        ({**INLINE, "calls_per_second": 0}, "calls_per_second"),
    ],
)
def test_an_input_that_cannot_be_says_why(wrong, says):
    with pytest.raises(ValidationError, match=says):
        CampaignStart.model_validate(wrong).definition()


def test_workflow_ids_can_be_read_and_search_attributes_are_distinct():
    assert messages.lead_workflow_id("l1") == "lead-l1"
    assert messages.campaign_workflow_id("c1") == "campaign-c1"
    attributes = messages.KEYWORD_ATTRIBUTES + messages.INTEGER_ATTRIBUTES
    assert len(set(attributes)) == len(attributes) == 5
