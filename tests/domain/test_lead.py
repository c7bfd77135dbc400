"""A lead's life: which changes of status are allowed, and what a lead may be given as."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from breeze_buddy.domain.campaign import CampaignStatus, check_campaign_transition
from breeze_buddy.domain.errors import IllegalTransition
from breeze_buddy.domain.lead import LeadInput, LeadStatus, check_transition

LEAD = {
    ("BACKLOG", "PROCESSING"),
    ("BACKLOG", "FINISHED"),
    ("PROCESSING", "BACKLOG"),
    ("PROCESSING", "RETRY"),
    ("PROCESSING", "FINISHED"),
    ("RETRY", "BACKLOG"),
    ("RETRY", "FINISHED"),
}
CAMPAIGN = {
    ("CREATED", "RUNNING"),
    ("CREATED", "CANCELLED"),
    ("RUNNING", "PAUSED"),
    ("RUNNING", "COMPLETED"),
    ("RUNNING", "CANCELLED"),
    ("PAUSED", "RUNNING"),
    ("PAUSED", "COMPLETED"),
    ("PAUSED", "CANCELLED"),
    ("COMPLETED", "RUNNING"),
}


@pytest.mark.parametrize(
    ("statuses", "check", "allowed", "thing"),
    [
        (LeadStatus, check_transition, LEAD, "a lead"),
        (CampaignStatus, check_campaign_transition, CAMPAIGN, "a campaign"),
    ],
)
def test_every_change_of_status_is_allowed_or_names_both(statuses, check, allowed, thing):
    for current, wanted in product(statuses, repeat=2):
        if (current, wanted) in allowed:
            check(current, wanted)
            continue
        with pytest.raises(IllegalTransition) as caught:
            check(current, wanted)
        assert str(caught.value) == f"{thing} cannot go from {current} to {wanted}"
        assert (caught.value.current, caught.value.wanted, caught.value.code) == (current, wanted, "illegal_transition")


@given(st.lists(st.sampled_from(LeadStatus), max_size=30))
def test_no_path_leads_out_of_finished(wished):
    status = LeadStatus.BACKLOG
    seen = [status]
    for wanted in wished:
        try:
            check_transition(status, wanted)
        except IllegalTransition:
            continue
        status = wanted
        seen.append(status)
    assert LeadStatus.FINISHED not in seen[:-1]


def test_a_lead_is_normalised():
    lead = LeadInput.model_validate({"phone": " +1 (415) 555-0123 ", "variables": {"amount": 12}, "request_id": 7})
    assert (lead.phone, lead.variables, lead.request_id) == ("+14155550123", {"amount": "12"}, "7")


@pytest.mark.parametrize(
    ("field", "lead"),
    [
        ("phone", {"phone": "hello"}),
        ("phone", {}),
        ("time_zone", {"phone": "+14155550123", "time_zone": "Mars/Olympus"}),
        ("priority", {"phone": "+14155550123", "priority": 101}),
        ("variables", {"phone": "+14155550123", "variables": {"name": "x" * 1001}}),
        ("variables", {"phone": "+14155550123", "variables": {f"v{n}": "" for n in range(65)}}),
        ("nickname", {"phone": "+14155550123", "nickname": "x"}),
    ],
)
def test_a_lead_that_cannot_be_is_refused_with_its_field(field, lead):
    with pytest.raises(ValidationError) as caught:
        LeadInput.model_validate(lead)
    assert {error["loc"][0] for error in caught.value.errors()} == {field}
