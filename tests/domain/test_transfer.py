"""What a template may say about handing over, and that the page about it says the same."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from breeze_buddy.domain.template import Template
from breeze_buddy.domain.transfer import NextSteps, TransferEnding, TransferPolicy

PAGE = (Path(__file__).parent.parent.parent / "docs/transfer.md").read_text()
FAILURES = set(TransferEnding) - {TransferEnding.TALKED, TransferEnding.CUSTOMER_HUNG_UP, TransferEnding.CANCELLED}
AGENTS = ["+14155550101"]


def template(transfer: Any, **nodes: Any) -> Template:
    flow = {"nodes": {"start": {"say": "Hold.", "then": {"action": "transfer_to_agent", **nodes}}}}
    return Template.model_validate({"name": "t", "flow": flow, "transfer": transfer})


def test_a_flow_that_transfers_needs_somebody_to_transfer_to() -> None:
    assert template({"agents": AGENTS}).transfer is not None
    with pytest.raises(ValidationError, match="say to whom in `transfer`"):
        template(None)


def test_the_node_after_a_failed_transfer_must_exist() -> None:
    with pytest.raises(ValidationError, match="goes to 'nowhere', which does not exist"):
        template({"agents": AGENTS}, failed="nowhere")


@pytest.mark.parametrize(
    "field",
    ["briefing", "comfort", "failed_say", "callback_say", "voicemail_say", "voicemail_again_say", "voicemail_thanks"],
)
def test_words_that_cannot_be_filled_are_refused_before_anybody_is_called(field: str) -> None:
    with pytest.raises(ValidationError):
        TransferPolicy.model_validate({"agents": AGENTS, field: "Hello {name"})
    with pytest.raises(ValidationError):
        template({"agents": AGENTS}, reason="{not closed")


def test_the_kind_word_takes_no_variables() -> None:
    with pytest.raises(ValidationError, match="takes no"):
        TransferPolicy.model_validate({"agents": AGENTS, "comfort": "Just a moment, {name}."})


def test_each_kind_of_failure_can_have_its_own_next_step() -> None:
    made = TransferPolicy.model_validate(
        {"agents": AGENTS, "on_failure": {"closed": "voicemail", "busy": "callback", "nobody": "voicemail"}}
    )
    assert TransferPolicy.model_validate_json(made.model_dump_json()) == made
    steps = {ending: made.next_step(ending) for ending in FAILURES}
    assert {ending for ending, step in steps.items() if step == "voicemail"} == {"closed", "nobody"}
    assert {ending for ending, step in steps.items() if step == "callback"} == {"busy"}
    assert set(steps.values()) == {"voicemail", "callback", "return"}


def test_kinds_that_are_not_named_have_the_default() -> None:
    on_failure = {"default": "callback", "voicemail": "return"}
    made = TransferPolicy.model_validate({"agents": AGENTS, "on_failure": on_failure})
    assert {ending for ending in FAILURES if made.next_step(ending) != "callback"} == {"voicemail"}


def test_one_next_step_is_for_all_kinds() -> None:
    for step in ("return", "callback", "voicemail"):
        made = TransferPolicy.model_validate({"agents": AGENTS, "on_failure": step})
        assert {made.next_step(ending) for ending in TransferEnding} == {step}
    assert TransferPolicy.model_validate({"agents": AGENTS}).next_step(TransferEnding.BUSY) == "return"


def test_the_kinds_that_have_a_next_step_are_the_endings_without_a_talk() -> None:
    assert set(NextSteps.model_fields) - {"default"} == FAILURES


@pytest.mark.parametrize("wrong", ["mail", {"busy": "mail"}, {"talked": "return"}, {"customer_hung_up": "voicemail"}])
def test_a_next_step_that_cannot_be_is_refused_when_the_template_is_written(wrong: Any) -> None:
    with pytest.raises(ValidationError, match="on_failure"):
        TransferPolicy.model_validate({"agents": AGENTS, "on_failure": wrong})


def test_the_result_of_a_transfer_is_no_variable_that_leads_must_bring() -> None:
    flow = {
        "start": "hold",
        "nodes": {
            "hold": {"say": "Hold, {name}.", "then": {"action": "transfer_to_agent", "failed": "alone"}},
            "alone": {"say": "It was {transfer_result}.", "then": {"action": "end_conversation"}},
        },
    }
    made = Template.model_validate({"name": "t", "flow": flow, "transfer": {"agents": AGENTS}})
    assert made.required_variables == {"name"}


def test_the_page_has_a_template_that_is_one_and_every_setting_and_ending() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert Template.model_validate(json.loads(example)).flow.transfers
    rows = " ".join(re.findall(r"(?m)^\| ([^|]+) \|", PAGE))
    named = set(re.findall(r"`(\w+)`", rows))
    assert set(TransferPolicy.model_fields) - {"callback_say", "callback_after"} <= named
    assert {"callback_say", "callback_after"} <= set(re.findall(r"`(\w+)`", PAGE))
    assert set(TransferEnding) - {TransferEnding.CANCELLED} <= named
