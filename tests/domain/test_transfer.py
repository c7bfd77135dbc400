"""What a template may say about handing over, and that the page about it says the same."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from breeze_buddy.domain.template import Template
from breeze_buddy.domain.transfer import TransferEnding, TransferPolicy

PAGE = (Path(__file__).parent.parent.parent / "docs/transfer.md").read_text()
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


@pytest.mark.parametrize("field", ["briefing", "comfort", "failed_say", "callback_say"])
def test_words_that_cannot_be_filled_are_refused_before_anybody_is_called(field: str) -> None:
    with pytest.raises(ValidationError):
        TransferPolicy.model_validate({"agents": AGENTS, field: "Hello {name"})
    with pytest.raises(ValidationError):
        template({"agents": AGENTS}, reason="{not closed")


def test_the_kind_word_takes_no_variables() -> None:
    with pytest.raises(ValidationError, match="takes no"):
        TransferPolicy.model_validate({"agents": AGENTS, "comfort": "Just a moment, {name}."})


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
