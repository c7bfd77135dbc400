"""What flows can do, held as text: the real scripted engine, and no sound."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from breeze_buddy.domain.conversation import ConversationReport, Ending
from breeze_buddy.domain.flow import HttpRequest
from breeze_buddy.domain.template import Template
from breeze_buddy.media.directory import StreamCall
from breeze_buddy.media.requests import Requests
from breeze_buddy.media.scripted import ScriptedDialogue
from breeze_buddy.media.text_call import NotTyped, TextCall

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)  # a Monday
BYE = {"say": "Goodbye.", "then": {"action": "end_conversation", "result": "done"}}
STOP = {"name": "stop", "phrases": ["stop calling"], "digits": "9", "go": "stopped"}
STOPPED = {"say": "Never again.", "then": {"action": "do_not_call"}}


async def talk(
    nodes: dict[str, Any],
    *lines: str,
    variables: dict[str, str] | None = None,
    requests: Requests | None = None,
    functions: tuple[dict[str, Any], ...] = (),
    **more: Any,
) -> tuple[list[str], ConversationReport]:
    """What the agent said, and the report of a conversation in which these lines are typed."""
    flow = {"nodes": {"bye": BYE, **nodes}, "functions": list(functions)}
    template = Template.model_validate({"name": "t", "flow": flow, **more})
    call = StreamCall(call_id="c", lead_id="l", template=template, variables=variables or {})
    text = TextCall(call, ScriptedDialogue(requests, clock=lambda: NOW), clock=lambda: NOW)
    said = await text.begin()
    for line in lines:
        assert text.over is None, f"it is over before {line!r}: {said}"
        said += await text.type(line)
    return said, text.report()


BOOK = {
    "name": "book",
    "phrases": ["book", "reserve"],
    "digits": "1",
    "parameters": [
        {"name": "day", "type": "date", "from_days": 1, "ask": "Which day?", "reprompt": "A day after today, please."},
        {"name": "seats", "type": "integer", "minimum": 1, "maximum": 8, "ask": "How many seats?"},
        {"name": "area", "type": "enum", "values": {"inside": [], "garden": ["outside"]}, "required": False},
    ],
    "answers": {"wants": "table"},
    "go": "confirm",
}
TABLE = {
    "start": {"say": "How can I help?", "functions": [BOOK], "max_reprompts": 0},
    "confirm": {"say": "{seats} seats on {day}, {area}.", "go": "bye"},
}


async def test_parameters_that_were_not_said_are_asked_for() -> None:
    said, report = await talk(TABLE, "I want to book", "tomorrow", "four")
    assert said == [
        "How can I help?",
        "Which day?",
        "How many seats?",
        "4 seats on Tuesday, November 24, .",
        "Goodbye.",
    ]
    assert report.answers == {"wants": "table", "day": "2026-11-24", "seats": "4"}


async def test_parameters_that_were_said_are_not_asked_for() -> None:
    said, report = await talk(TABLE, "please reserve the garden for Friday", "four")
    assert said[1:3] == ["How many seats?", "4 seats on Friday, November 27, garden."]
    assert report.answers["area"] == "garden"


async def test_keys_are_as_good_as_words_also_for_parameters() -> None:
    said, _ = await talk(TABLE, "#1", "#2411", "#4")
    assert said[-2] == "4 seats on Tuesday, November 24, ."


async def test_what_cannot_be_is_asked_again_and_then_the_call_ends() -> None:
    said, report = await talk(TABLE, "book", "yesterday", "the moon", "never")
    assert said[1:] == [
        "Which day?",
        "A day after today, please.",
        "A day after today, please.",
        "I could not understand you. Goodbye.",
    ]
    assert (report.ending, report.answers) == (Ending.REACHED_END, {})


@pytest.mark.parametrize(
    ("capture", "lines", "kept"),
    [
        ({"kind": "words"}, ["12 Garden Street."], "12 Garden Street"),
        ({"kind": "digits", "length": 6}, ["one two three", "four five six"], "123456"),
        ({"kind": "digits", "length": 4, "terminator": "*"}, ["#12*", "#1234"], "1234"),
        ({"kind": "digits", "min_length": 3, "max_length": 5}, ["#12", "#3#"], "123"),
        ({"kind": "phone", "region": "US"}, ["four one five", "five five five oh one two three"], "+14155550123"),
        ({"kind": "time", "earliest": "09:00", "latest": "18:00"}, ["seven pm", "five thirty"], "17:30"),
        ({"kind": "boolean"}, ["#2"], "no"),
        ({"kind": "string", "pattern": "[A-Z]{2}[0-9]{2}"}, ["hm", "A B twelve"], "AB12"),
    ],
)
async def test_captures_have_types_too(capture: dict[str, Any], lines: list[str], kept: str) -> None:
    nodes = {"start": {"say": "Well?", "capture": {"name": "it", **capture, "go": "bye"}}}
    _, report = await talk(nodes, *lines)
    assert (report.answers, report.result) == ({"it": kept}, "done")


async def test_a_secret_number_is_kept_nowhere() -> None:
    nodes = {
        "start": {"say": "Card?", "then": {"action": "collect_digits", "name": "card", "secret": True, "go": "bye"}}
    }
    _, report = await talk(nodes, "#4242424242424242#")
    assert report.answers == {"card": "•••4242"}
    assert "4242424242" not in report.model_dump_json()


@pytest.mark.parametrize(
    ("bounds", "kept"),
    [({}, "•••"), ({"min_length": 6}, "•••"), ({"length": 12}, "•••3456"), ({"min_length": 12}, "•••3456")],
)
async def test_a_short_code_said_twice_shows_nothing_of_itself(bounds: dict[str, int], kept: str) -> None:
    nodes = {
        "start": {
            "say": "Code?",
            "then": {"action": "collect_digits", "name": "code", "secret": True, "go": "bye", **bounds},
        }
    }
    _, report = await talk(nodes, "one two three four five six, one two three four five six")
    assert report.answers == {"code": kept}


async def test_global_functions_are_offered_wherever_something_is_asked() -> None:
    nodes = {
        "start": {"say": "Address?", "capture": {"name": "address", "go": "again"}},
        "again": {"say": "And the town?", "capture": {"name": "town", "go": "bye"}},
        "stopped": STOPPED,
    }
    for lines in (["stop calling"], ["12 Garden Street", "please stop calling"], ["#9"]):
        said, report = await talk(nodes, *lines, functions=(STOP,))
        assert (said[-1], report.do_not_call) == ("Never again.", True)
    said, report = await talk(nodes, "stop calling street", "Berlin", functions=(STOP,))
    assert report.answers == {"address": "stop calling street", "town": "Berlin"}


async def test_a_function_of_the_node_goes_before_the_global_one_with_the_same_words() -> None:
    own = {"name": "mine", "phrases": ["stop calling"], "go": "bye"}
    _, report = await talk(
        {"start": {"say": "?", "functions": [own]}, "stopped": STOPPED}, "stop calling", functions=(STOP,)
    )
    assert report.result == "done"


async def test_a_global_function_can_be_called_off_while_its_parameters_are_asked_for() -> None:
    back = {"name": "back", "phrases": ["never mind"], "go": "start"}
    said, _ = await talk(TABLE, "book", "never mind", "book", functions=(back,))
    assert said[1:] == ["Which day?", "How can I help?", "Which day?"]


RICH = {"variable": "total", "at_least": 100}


async def test_conditions_choose_the_way_and_what_is_offered() -> None:
    discount = {"name": "discount", "phrases": ["discount"], "when": RICH, "go": "given"}
    nodes = {
        "start": {"go": [{"when": RICH, "go": "rich"}, {"go": "poor"}]},
        "rich": {"say": "Much.", "functions": [discount]},
        "poor": {"say": "Little.", "functions": [discount], "max_reprompts": 0},
        "given": {"say": "Given.", "go": "bye"},
    }
    rich, _ = await talk(nodes, "a discount", variables={"total": "250.00"})
    poor, _ = await talk(nodes, "a discount", variables={"total": "99.90"})
    assert rich == ["Much.", "Given.", "Goodbye."]
    assert poor == ["Little.", "I could not understand you. Goodbye."]


async def test_silence_and_what_is_not_understood_have_ways_of_their_own_and_reprompts_in_turn() -> None:
    nodes = {
        "start": {
            "say": "Yes or no?",
            "functions": [{"name": "yes", "phrases": ["yes"], "go": "bye"}],
            "reprompt": ["Pardon?", "Please say yes."],
            "on_silence": "nobody",
            "otherwise": "odd",
        },
        "nobody": {"say": "Nobody there.", "go": "bye"},
        "odd": {"say": "How odd.", "go": "bye"},
    }
    assert (await talk(nodes, "/silence", "hm", "/silence"))[0][1:4] == ["Pardon?", "Please say yes.", "Nobody there."]
    assert (await talk(nodes, "/silence", "hm", "hm"))[0][3] == "How odd."


class Server:
    """Answers requests of flows: after `takes_s`, with `answers`."""

    def __init__(self, answers: dict[str, str] | None, *, takes_s: float = 0) -> None:
        self.answers, self.takes_s = answers, takes_s
        self.asked: list[tuple[str, dict[str, str], str]] = []

    async def send(self, request: HttpRequest, values: Any, *, key: str) -> dict[str, str] | None:
        self.asked.append((request.url, dict(values), key))
        await asyncio.sleep(self.takes_s)
        return self.answers


LOOKUP = {
    "start": {"say": "Your number?", "capture": {"name": "order", "kind": "digits", "go": "look"}},
    "look": {
        "then": {
            "action": "http_request",
            "url": "https://shop.example/orders/{order}",
            "save": {"state": "order.state"},
            "filler": "Let me look.",
            "filler_after_s": 0.05,
            "go": [{"when": {"variable": "state", "is": "sent"}, "go": "sent"}, {"go": "open"}],
            "failed": "sorry",
        }
    },
    "sent": {"say": "It was sent.", "go": "bye"},
    "open": {"say": "It is {state}.", "go": "bye"},
    "sorry": {"say": "I cannot look.", "go": "bye"},
}


async def test_a_server_is_asked_and_its_answer_decides() -> None:
    server = Server({"state": "sent"})
    said, report = await talk(LOOKUP, "#4711#", requests=server)
    assert said == ["Your number?", "It was sent.", "Goodbye."]
    assert report.answers == {"order": "4711", "state": "sent"}
    assert server.asked == [("https://shop.example/orders/{order}", {"order": "4711"}, "c/look")]


async def test_a_slow_server_is_waited_for_with_a_word() -> None:
    said, _ = await talk(LOOKUP, "#4711#", requests=Server({"state": "packed"}, takes_s=0.2))
    assert said[1:] == ["Let me look.", "It is packed.", "Goodbye."]


async def test_a_server_that_fails_has_a_way_of_its_own() -> None:
    assert (await talk(LOOKUP, "#4711#", requests=Server(None)))[0][1] == "I cannot look."
    assert (await talk(LOOKUP, "#4711#"))[0][1] == "I cannot look."  # nobody may be asked


async def test_requests_that_follow_each_other_for_ever_end_the_call() -> None:
    again = {"then": {"action": "http_request", "url": "https://shop.example/", "go": "start"}}
    said, report = await asyncio.wait_for(talk({"start": again}, requests=Server({})), 5)
    assert said == ["I could not understand you. Goodbye."]
    assert report.ending is Ending.REACHED_END


async def test_the_end_of_a_transfer_can_be_typed() -> None:
    nodes = {
        "start": {"say": "Hold on.", "then": {"action": "transfer_to_agent", "failed": "alone"}},
        "alone": {"say": "It was {transfer_result}.", "go": "bye"},
    }
    policy = {"agents": ["+14155550123"], "failed_say": "Nobody is free."}
    said, _ = await talk(nodes, "/busy", transfer=policy)
    assert said[1:] == ["Nobody is free.", "It was busy.", "Goodbye."]
    _, report = await talk(nodes, "/talked", transfer=policy)
    assert report.ending is Ending.TRANSFERRED
    with pytest.raises(NotTyped, match="/talked"):
        await talk(nodes, "hello", transfer=policy)
