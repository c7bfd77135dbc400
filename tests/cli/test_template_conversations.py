"""Templates tried without a phone: examples, their schema, warnings, and conversations in the terminal."""

import asyncio
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from breeze_buddy.cli.demo_template import TEMPLATE
from breeze_buddy.cli.documents import read_document
from breeze_buddy.cli.exits import ExitCode
from breeze_buddy.cli.template_examples import example_files
from tests.cli.shell import Shell, run_breeze
from tests.media.vendors.openai_chat import OpenAiChat, Reply
from tests.media.vendors.serving import serving

EXAMPLES = sorted(example_files())
CIRCLE = """\
name: circle
flow:
  nodes:
    start: {say: One., go: two}
    two: {say: Two., go: start}
    lost: {say: Lost., go: start}
"""


def example(name: str) -> str:
    return str(files("breeze_buddy") / "examples" / f"{name}.yaml")


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_valid_and_without_a_warning(name: str) -> None:
    checked = run_breeze("template", "validate", example(name), "--json")
    assert (checked.code, checked.json["problems"], checked.json["name"]) == (0, [], name)


def test_the_schema_takes_what_the_platform_takes() -> None:
    schema = run_breeze("template", "schema").json
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for name in EXAMPLES:
        validator.validate(read_document(Path(example(name))).data)
    validator.validate(TEMPLATE.model_dump(mode="json"))
    wrong = read_document(Path(example("keypad"))).data
    wrong["flow"]["nodes"]["menu"]["functions"][0]["digitz"] = "1"
    assert not validator.is_valid(wrong)


async def test_the_api_has_the_same_schema_and_tells_warnings_and_errors(shell: Shell) -> None:
    assert (await shell.house.get("/templates/schema")).json() == run_breeze("template", "schema").json
    refused = await shell.house.post("/templates", yaml.safe_load(CIRCLE))
    assert refused.status_code == 422
    (problem,) = refused.json()["detail"]
    assert (problem["loc"], problem["type"]) == (["body", "flow", "nodes", "start", "go"], "circle")
    lonely = yaml.safe_load(CIRCLE.replace("go: start", "then: {action: end_conversation}", 1))
    stored = await shell.house.made("/templates", lonely)
    (warning,) = stored["warnings"]
    assert (warning["code"], warning["loc"]) == ("unreachable", ["flow", "nodes", "lost"])
    pushed = await shell.breeze("template", "push", shell.file("t.json", json.dumps(lonely)))
    assert "warning: flow.nodes.lost: node 'lost' is never reached" in pushed.err


def test_what_is_hardly_meant_is_told_with_its_line(tmp_path: Path) -> None:
    (file := tmp_path / "t.yaml").write_text(CIRCLE)
    checked = run_breeze("template", "validate", str(file))
    assert checked.code == ExitCode.REFUSED
    error, *warnings = checked.out.splitlines()
    assert (
        error
        == f"{file}:4: flow.nodes.start.go: start → two → start: these nodes go on for ever and never ask anything"
    )
    assert (
        f"{file}:6: warning: flow.nodes.lost: node 'lost' is never reached: no way leads from 'start' to it" in warnings
    )


def chat(name: str, *lines: str, variables: tuple[str, ...] = ("name=Ada",)) -> Any:
    given = [part for variable in variables for part in ("--variable", variable)]
    return run_breeze("template", "chat", example(name), *given, "--json", stdin="\n".join(lines) + "\n").json


ADA = ("name=Ada", "item=a lamp")
MOVED = ("name=Ada", "address=1 Old Road")


@pytest.mark.parametrize(
    ("name", "variables", "lines", "result", "answers"),
    [
        ("order-confirmation", ADA, ["yes"], "confirmed", {"order": "confirmed"}),
        ("order-confirmation", ADA, ["hm", "#2"], "to_change", {"order": "to change"}),
        ("order-confirmation", ADA, ["stop calling me"], "do_not_call", {}),
        ("address-change", MOVED, ["no", "12 Garden Street", "one two three", "four five", "no", "14 Garden Street",
         "12346", "yes"], "address_changed",
         {"new_address": "14 Garden Street", "post_code": "12346", "address_is": "changed"}),
        ("appointment", ("name=Ada",), ["call me later", "tomorrow at five"], "callback", {"when": "tomorrow at five"}),
        ("refusal", ("name=Ada",), ["please never call me again"], "do_not_call", {}),
        ("complaint", ("name=Ada",), ["this is terrible", "it came a week late", "keep it"], "complaint_noted",
         {"complaint": "it came a week late"}),
        ("reminder", ("name=Ada",), ["/silence", "/silence"], "reminded_only", {}),
        ("keypad", ("name=Ada",), ["#2", "#1", "#120#", "#2", "#80#", "#4242424242424242#"], "paid",
         {"amount": "80", "card": "•••4242"}),
    ],
)  # fmt: skip
def test_examples_reach_their_ends_in_the_terminal(
    name: str, variables: tuple[str, ...], lines: list[str], result: str, answers: dict[str, str]
) -> None:
    report = chat(name, *lines, variables=variables)
    assert (report["ending"], report["result"], report["answers"]) == ("reached_end", result, answers)


def test_a_person_reads_the_conversation_and_what_came_of_it() -> None:
    held = run_breeze(
        "template", "chat", example("order-confirmation"), "--variable", "name=Ada", "--variable", "item=a lamp",
        stdin="/sing\n#1\n",
    )  # fmt: skip
    assert held.out.splitlines() == [
        "agent: Hello Ada, this is Breeze. You ordered a lamp. Is that correct?",
        "caller: /sing",
        "caller: #1",
        "agent: Thank you. It is on its way. Goodbye.",
        "ending: reached_end",
        "result: confirmed",
        "answer: order = confirmed",
    ]
    assert "/sing means nothing here" in held.err


BY_MODEL = {
    "name": "by-model",
    "engine": "llm",
    "llm": {"model": "m"},
    "flow": {
        "nodes": {
            "start": {
                "say": "Is your order correct?",
                "functions": [{"name": "confirm", "phrases": ["yes"], "go": "bye"}],
                "reprompt": "Please say yes or no.",
            },
            "bye": {"say": "Goodbye.", "then": {"action": "end_conversation", "result": "confirmed"}},
        }
    },
}


def agent_said(report: Any) -> list[str]:
    return [one["text"] for one in report["transcript"] if one["speaker"] == "agent"]


async def test_a_templates_own_language_model_holds_the_chat_unless_the_script_is_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file := tmp_path / "t.json").write_text(json.dumps(BY_MODEL))
    model = OpenAiChat(replies=[Reply(words=["Two lamps. ", "Right?"]), Reply(calls=[("confirm", {})])])
    lines = "what did I order\nthat sounds alright\n"
    async with serving(model.app) as address:
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://{address}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        command = ("template", "chat", str(file), "--json")
        by_script = await asyncio.to_thread(run_breeze, *command, "--engine", "scripted", stdin=lines)
        assert model.requests == []
        by_model = await asyncio.to_thread(run_breeze, *command, stdin=lines)
    assert agent_said(by_script.json)[1:] == ["Please say yes or no."] * 2
    assert agent_said(by_model.json) == ["Is your order correct?", "Two lamps.", "Right?", "Goodbye."]
    assert by_model.json["result"] == "confirmed"


def test_a_chat_without_the_models_key_is_held_by_the_script_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    (file := tmp_path / "t.json").write_text(json.dumps(BY_MODEL))
    held = run_breeze("template", "chat", str(file), "--json", stdin="yes\n")
    assert held.json["result"] == "confirmed"
    assert "set OPENAI_API_KEY" in held.err
    assert "the scripted engine speaks" in held.err
    refused = run_breeze("template", "chat", str(file), "--engine", "template", stdin="yes\n")
    assert refused.code == ExitCode.USAGE
    assert "set OPENAI_API_KEY" in refused.err


def test_a_conversation_without_more_lines_was_hung_up() -> None:
    assert chat("reminder")["ending"] == "caller_hung_up"


def test_missing_variables_are_asked_for_before_the_conversation() -> None:
    refused = run_breeze("template", "chat", example("order-confirmation"), "--variable", "name=Ada")
    assert refused.code == ExitCode.USAGE
    assert "--variable item=…" in refused.err


def test_examples_can_be_listed_and_printed() -> None:
    listed = run_breeze("template", "examples").out
    assert all(name in listed for name in EXAMPLES)
    assert yaml.safe_load(run_breeze("template", "examples", "keypad").out)["name"] == "keypad"
    assert run_breeze("template", "examples", "none").code == ExitCode.NOT_FOUND
