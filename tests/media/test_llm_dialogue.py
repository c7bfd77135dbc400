"""A language model on a flow: it chooses, it answers questions, and whatever it fails at the script does."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any

import pytest

from breeze_buddy.domain.conversation import ConversationState, Ending, Utterance
from breeze_buddy.domain.providers import DialogueModel, Llm
from breeze_buddy.media.engines import Finish, Heard
from breeze_buddy.media.llm.dialogue import LlmDialogue
from breeze_buddy.media.llm.guided_flow import GuidedDialogue
from breeze_buddy.media.llm.model import Call, Message, Model, Request
from breeze_buddy.media.llm.openai_model import OpenAiModel, open_client
from breeze_buddy.media.providers.connections import Connections
from breeze_buddy.media.providers.failover import Candidate, Health
from breeze_buddy.media.text_call import TextCall
from tests.media.fakes import call_of, template_of
from tests.media.vendors.openai_chat import OpenAiChat, Reply
from tests.media.vendors.serving import serving

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
FLOW: dict[str, Any] = {
    "start": "ask",
    "nodes": {
        "ask": {
            "say": "Hello {name}. Is your order correct?",
            "functions": [
                {"name": "confirm", "description": "The order is correct.", "phrases": ["yes"], "go": "thanks"},
                {
                    "name": "move",
                    "description": "Deliver on another day.",
                    "parameters": [{"name": "day", "type": "date", "from_days": 1}],
                    "go": "moved",
                },
                {"name": "pay", "phrases": ["pay now"], "go": "card"},
            ],
            "reprompt": "Please say yes or no.",
            "otherwise": "later",
        },
        "moved": {"say": "We come on {day}.", "go": "street"},
        "street": {"say": "What is the new address?", "capture": {"name": "street", "go": "pin"}},
        "pin": {
            "say": "And your four digits?",
            "capture": {"name": "pin", "kind": "digits", "length": 4, "go": "thanks"},
        },
        "card": {
            "say": "Your card number, please.",
            "capture": {"name": "card", "kind": "digits", "go": "thanks"},
            "sensitive": True,
        },
        "later": {"say": "A colleague calls you.", "then": {"action": "end_conversation", "result": "later"}},
        "thanks": {"say": "Thank you. Goodbye.", "then": {"action": "end_conversation", "result": "confirmed"}},
    },
}


class Desk:
    """A text call whose model is the vendor's server, by the official client or through LiveKit's plugin."""

    def __init__(self, address: str, connections: Connections, client: str, **llm: Any) -> None:
        self.address = address
        self._client = client
        self._connections = connections
        self._models: list[Any] = []
        self.llm: dict[str, Any] = {"model": "m", "instructions": "You are Maya, for {name}.", **llm}
        self.second: str | None = None
        self.private: list[str] = []
        self.call: dict[str, Any] = {}
        self.flow = FLOW
        self.resume: ConversationState | None = None

    async def open(self) -> TextCall:
        template = template_of(self.flow, engine="llm", llm=self.llm, private_variables=self.private)
        call = replace(call_of(template, resume=self.resume), **self.call)
        self.healths = [Health("first"), Health("second")]
        models = [Candidate(self._model(self.address), self.healths[0])]
        if self.second is not None:
            models.append(Candidate(self._model(self.second), self.healths[1]))
        llm = Llm.model_validate(self.llm)
        text = TextCall(call, LlmDialogue(GuidedDialogue(clock=lambda: NOW), models, llm))
        await text.begin()
        return text

    def _model(self, address: str) -> Model:
        if self._client == "openai":
            return OpenAiModel(open_client("sk-test", f"http://{address}/v1"), "m")
        from breeze_buddy.media.llm.livekit_model import LivekitModel
        from breeze_buddy.media.providers.livekit import make

        options = {"base_url": f"http://{address}/v1", "api_key": "sk-test"}  # which no template may give
        choice = DialogueModel.model_construct(endpoint="livekit", plugin="openai", model="m", options=options)
        limits = {"max_completion_tokens": 250, "temperature": None}
        model = LivekitModel(make("LLM", choice, self._connections, limits))
        self._models.append(model)
        return model

    async def close(self) -> None:
        for model in self._models:
            await model.close()


@pytest.fixture
def chat() -> OpenAiChat:
    return OpenAiChat()


def clients() -> list[str]:
    """LiveKit's plugin too where `breeze-buddy[livekit]` and livekit-plugins-openai are installed."""
    try:
        return ["openai", "livekit"] if find_spec("livekit.plugins.openai") else ["openai"]
    except ModuleNotFoundError:
        return ["openai"]


@pytest.fixture(params=clients())
async def desk(chat: OpenAiChat, connections: Connections, request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    async with serving(chat.app) as address:
        desk = Desk(address, connections, request.param)
        yield desk
        await desk.close()


def roles(request: dict[str, Any]) -> list[str]:
    return [f"{one['role']}: {one['content']}" for one in request["messages"][1:]]


async def test_a_function_that_the_model_calls_takes_the_flow_on_with_its_typed_values(
    chat: OpenAiChat, desk: Desk
) -> None:
    chat.replies = [Reply(calls=[("move", {"day": "2026-11-27"})]), Reply(calls=[("give_answer", {"value": "12 Elm"})])]
    call = await desk.open()
    said = await call.type("could you come on Friday instead")
    assert said[0].startswith("We come on ")
    assert said[1] == "What is the new address?"
    assert await call.type("it's twelve Elm I think") == ["And your four digits?"]
    assert call.report().answers == {"day": "2026-11-27", "street": "12 Elm"}
    first, second = chat.requests
    system = first["messages"][0]["content"]
    assert system.startswith("You are Maya, for Asha.")
    assert "Monday, 2026-11-23, 09:00" in system
    assert system.endswith("The question that the caller is to answer now: Hello Asha. Is your order correct?")
    assert roles(first) == [
        "assistant: Hello Asha. Is your order correct?",
        "user: could you come on Friday instead",
    ]
    assert [one["function"]["name"] for one in first["tools"]] == ["confirm", "move", "pay"]
    assert first["tools"][1]["function"]["parameters"]["properties"]["day"]["format"] == "date"
    assert first.get("max_tokens", first.get("max_completion_tokens")) == 250
    assert [one["function"]["name"] for one in second["tools"]] == ["give_answer"]
    assert "- day: 2026-11-27" in second["messages"][0]["content"]


async def test_a_question_of_the_caller_is_answered_sentence_by_sentence_and_the_flow_stays(
    chat: OpenAiChat, desk: Desk
) -> None:
    chat.replies = [Reply(words=["It is two ", "lamps, Ms. ", "Asha. Is **that", "** right", "?"])]
    call = await desk.open()
    assert await call.type("what did I order") == ["It is two lamps, Ms. Asha.", "Is that right?"]
    assert call.over is None


async def test_the_first_sentence_is_handed_over_while_the_rest_is_written_and_leaving_stops_the_model(
    chat: OpenAiChat, desk: Desk
) -> None:
    chat.replies = [Reply(words=["It is two lamps. ", "Is that right?"])]
    chat.go_on = asyncio.Event()
    call = await desk.open()
    replies = call._conversation.answer(Heard("what did I order"))
    first = await anext(replies)
    assert getattr(first, "text", "") == "It is two lamps."
    await replies.aclose()  # type: ignore[attr-defined]
    async with asyncio.timeout(5):
        await chat.left.wait()


async def test_the_first_token_of_a_call_is_told_long_before_the_call_is_whole(chat: OpenAiChat) -> None:
    chat.replies = [Reply(calls=[("move", {"day": "2026-11-27"})])]
    chat.go_on = asyncio.Event()
    began = asyncio.Event()
    request = Request([Message("caller", "come on Friday")], on_first_token=began.set)
    async with serving(chat.app) as address, asyncio.timeout(5):
        reply = OpenAiModel(open_client("sk-test", f"http://{address}/v1"), "m").reply(request)
        reading = asyncio.create_task(anext(reply))  # type: ignore[arg-type]
        await began.wait()
        assert not reading.done()
        chat.go_on.set()
        assert await reading == Call("move", '{"day": "2026-11-27"}', "c0")


async def test_what_is_exactly_a_phrase_needs_no_model_and_neither_do_keys_silence_and_dictated_digits(
    chat: OpenAiChat, desk: Desk
) -> None:
    call = await desk.open()
    assert await call.type("/silence") == ["Please say yes or no."]
    assert await call.type("Yes, please.") == ["Thank you. Goodbye."]
    chat.replies = [
        Reply(calls=[("move", {"day": "2026-11-27"})]),
        Reply(calls=[("give_answer", {"value": "12 Elm"})]),
    ]
    call = await desk.open()
    await call.type("come Friday")
    await call.type("twelve Elm")
    assert await call.type("four seven one one") == ["Thank you. Goodbye."]
    assert len(chat.requests) == 2


async def test_nothing_private_goes_to_the_model(chat: OpenAiChat, desk: Desk) -> None:
    call = await desk.open()
    assert await call.type("pay now") == ["Your card number, please."]
    assert await call.type("4111 1111 1111 1111") == ["Thank you. Goodbye."]
    assert chat.requests == []


@pytest.mark.parametrize("wording", ["exact", "free"])
async def test_a_private_variable_is_said_by_the_flow_and_never_told_to_the_model(
    chat: OpenAiChat, desk: Desk, wording: str
) -> None:
    desk.private = ["name"]
    desk.llm |= {"wording": wording, "instructions": "You are Maya."}
    desk.call = {"variables": {"name": "Asha", "greeting": "Dear Asha"}}
    chat.replies = [Reply(words=["Two lamps, of course."]), Reply(calls=[("move", {"day": "2026-11-27"})])]
    chat.replies += [Reply(words=["Where to?"])] if wording == "free" else []
    call = await desk.open()
    await call.type("this is Asha and what did I order")
    await call.type("come on Friday")
    report = call.report()
    assert report.transcript[0].text == "Hello Asha. Is your order correct?"
    assert "Asha" not in json.dumps(chat.requests)
    assert "- greeting: Dear [name]" in chat.requests[0]["messages"][0]["content"]
    assert roles(chat.requests[1])[:2] == [
        "assistant: Hello [name]. Is your order correct?",
        "user: this is [name] and what did I order",
    ]
    assert chat.requests[0]["messages"][0]["content"].endswith("Hello [name]. Is your order correct?")


async def test_with_free_wording_a_question_with_a_private_value_is_as_written(chat: OpenAiChat, desk: Desk) -> None:
    desk.private = ["name"]
    desk.llm |= {"wording": "free", "instructions": ""}
    desk.flow = {
        "start": "who",
        "nodes": {
            "who": {"say": "Hello.", "functions": [{"name": "ask", "digits": "1", "go": "right"}]},
            "right": {"say": "Are you {name}?", "functions": [{"name": "confirm", "digits": "1", "go": "bye"}]},
            "bye": {"say": "Bye.", "then": {"action": "end_conversation"}},
        },
    }
    chat.replies = [Reply(calls=[("ask", {})])]
    call = await desk.open()
    assert await call.type("who do you want") == ["Are you Asha?"]
    assert len(chat.requests) == 1


async def test_a_value_that_is_none_is_explained_to_the_model_which_asks_again(chat: OpenAiChat, desk: Desk) -> None:
    chat.replies = [
        Reply(calls=[("move", {"day": "2020-01-01"})]),
        Reply(words=["That day is over. Which one do you mean?"]),
    ]
    call = await desk.open()
    assert await call.type("come in January 2020") == ["That day is over.", "Which one do you mean?"]
    *_, called, result = chat.requests[1]["messages"]
    assert called["tool_calls"][0]["function"]["name"] == "move"
    assert result["role"] == "tool"
    assert "day: a date not before 2026-11-24 is wanted" in result["content"]
    assert call.report().answers == {}


@pytest.mark.parametrize(
    "call", [("nonsense", {}), ("move", "{oops"), ("move", "[]"), ("move", {}), ("move", {"day": "soon"})]
)
async def test_calls_that_cannot_be_taken_again_and_again_leave_the_turn_to_the_script(
    chat: OpenAiChat, desk: Desk, call: tuple[str, Any]
) -> None:
    chat.replies = [Reply(calls=[call])] * 3
    held = await desk.open()
    assert await held.type("hm hm") == ["Please say yes or no."]
    assert len(chat.requests) == 3


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=401),
        Reply(status=429),
        Reply(status=500),
        Reply(fault="drops"),
        Reply(fault="garbage"),
        Reply(fault="error"),
        Reply(),
    ],
    ids=["401", "429", "500", "drops", "garbage", "error", "empty"],
)
async def test_a_model_that_fails_leaves_the_turn_to_the_script(chat: OpenAiChat, desk: Desk, reply: Reply) -> None:
    chat.replies = [reply]
    call = await desk.open()
    assert await call.type("well yes of course") == ["Thank you. Goodbye."]  # a phrase in what was said
    chat.replies = [reply]
    call = await desk.open()
    assert await call.type("who is this") == ["Please say yes or no."]


async def test_a_reply_that_breaks_off_is_followed_by_the_question(chat: OpenAiChat, desk: Desk) -> None:
    chat.replies = [Reply(words=["It is two lamps. ", "And they are"], fault="drops", after=2)]
    call = await desk.open()
    assert await call.type("what did I order") == ["It is two lamps.", "Hello Asha. Is your order correct?"]


@pytest.mark.parametrize("reply", [Reply(status=503), Reply(fault="hangs")], ids=["503", "hangs"])
async def test_the_fallback_endpoint_answers_and_is_asked_first_for_a_while(
    chat: OpenAiChat, desk: Desk, reply: Reply
) -> None:
    chat.replies = [reply]
    desk.llm |= {"timeout_s": 0.2, "filler_after_s": 5}
    second = OpenAiChat(replies=[Reply(words=["Two lamps."]), Reply(words=["Two, really."])])
    async with serving(second.app) as desk.second:
        call = await desk.open()
        assert await call.type("what did I order") == ["Two lamps."]
        assert await call.type("how many is that") == ["Two, really."]
    assert (len(chat.requests), len(second.requests)) == (1, 2)


async def test_a_slow_model_has_a_filler_said_and_then_the_scripted_line(chat: OpenAiChat, desk: Desk) -> None:
    desk.llm |= {"timeout_s": 0.3, "filler_after_s": 0.05, "filler": "Let me see."}
    chat.replies = [Reply(fault="hangs")]
    call = await desk.open()
    assert await call.type("hm who is this") == ["Let me see.", "Please say yes or no."]


async def test_a_model_that_never_goes_on_is_bounded_in_turns_and_in_tokens(chat: OpenAiChat, desk: Desk) -> None:
    desk.llm |= {"max_turns": 2}
    chat.replies = [Reply(words=["Nice weather."])] * 2
    call = await desk.open()
    for _ in range(2):
        assert await call.type("tell me more") == ["Nice weather."]
    assert await call.type("tell me more") == ["A colleague calls you."]
    assert call.over == Finish(Ending.REACHED_END, "later")
    desk.llm |= {"max_turns": 50, "max_call_tokens": 1000}
    chat.replies = [Reply(words=["Nice weather."], usage=400)] * 3
    call = await desk.open()
    for _ in range(3):
        assert await call.type("tell me more") == ["Nice weather."]
    assert await call.type("tell me more") == ["Please say yes or no."]
    assert len(chat.requests) == 5


async def test_only_the_latest_of_a_long_conversation_is_sent(chat: OpenAiChat, desk: Desk) -> None:
    desk.llm |= {"history_tokens": 200}
    spoken = tuple(
        Utterance(speaker="agent" if i % 2 else "caller", text=f"{i} {'word ' * 20}", at_s=i) for i in range(40)
    )
    desk.resume = ConversationState(node="ask", transcript=spoken, began_at=NOW)
    chat.replies = [Reply(words=["Two lamps."])]
    call = await desk.open()
    await call.type("what did I order")
    sent = roles(chat.requests[0])
    assert sum(map(len, sent)) < 1000
    assert sent[-1] == "user: what did I order"
    assert "39 word" in sent[-2]


async def test_with_free_wording_the_model_words_the_next_question_and_the_end_is_as_written(
    chat: OpenAiChat, desk: Desk
) -> None:
    desk.llm |= {"wording": "free"}
    chat.replies = [
        Reply(calls=[("move", {"day": "2026-11-27"})]),
        Reply(words=["Friday it is! Where shall we bring it?"]),
        Reply(calls=[("give_answer", {"value": "12 Elm"})]),
        Reply(status=500),
    ]
    call = await desk.open()
    said = await call.type("come on Friday")
    assert said[-2:] == ["Friday it is!", "Where shall we bring it?"]
    assert chat.requests[1]["tool_choice"] == "none"
    assert chat.requests[1]["messages"][-1]["content"].endswith('"What is the new address?"')
    assert await call.type("twelve Elm") == ["And your four digits?"]  # no model: as it is written
    assert await call.type("four seven one one") == ["Thank you. Goodbye."]
