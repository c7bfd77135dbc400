"""Speech to speech on a flow: one connection hears, decides and speaks, and what it fails at others do."""

import json
from collections.abc import AsyncIterable, AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from breeze_buddy.domain.conversation import ConversationState, Utterance
from breeze_buddy.domain.providers import Realtime, Voice
from breeze_buddy.media.engines import Finish, Heard, Reply, Say, Silence, Transcript
from breeze_buddy.media.llm.guided_flow import GuidedDialogue
from breeze_buddy.media.providers.connections import Connections
from breeze_buddy.media.providers.failover import Candidate, FailoverSpeaker, Health
from breeze_buddy.media.providers.kept_speech import KeptSpeech
from breeze_buddy.media.realtime.call import RealtimeCall
from breeze_buddy.media.realtime.dialogue import RealtimeDialogue
from breeze_buddy.media.realtime.link import Link
from breeze_buddy.media.text_call import _NotRecorded
from tests.media.fakes import Monotone, call_of, template_of
from tests.media.test_llm_dialogue import FLOW
from tests.media.vendors.openai_realtime import Realtime as Vendor
from tests.media.vendors.openai_realtime import Says
from tests.media.vendors.serving import serving

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
GREETING = "Hello Asha. Is your order correct?"


class Behind:
    """The transcriber behind: hears whole turns, and says so."""

    def __init__(self) -> None:
        self.turns: list[int] = []
        self.text = "who is this"

    async def transcribe(self, turn: AsyncIterable[bytes]) -> AsyncIterator[Transcript]:
        self.turns.append(sum([len(piece) async for piece in turn]))
        yield Transcript(self.text)


class Counter(Monotone):
    """The voice behind."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def speak(self, text: str, voice: Any) -> Any:
        self.said.append(text)
        return super().speak(text, voice)


class Caller:
    """Holds a conversation as the turn loop does: what is said is heard, up to where it is interrupted."""

    def __init__(self, address: str, connections: Connections, kept: KeptSpeech, **more: Any) -> None:
        self.realtime = Realtime.model_validate({"instructions": "You are Maya.", "timeout_s": 1, **more})
        self._address, self._connections, self._kept = address, connections, kept
        self.behind, self.voice = Behind(), Counter()
        self.finish: Finish | None = None
        self.private: list[str] = []

    async def call(self, resume: ConversationState | None = None) -> list[str]:
        template = template_of(
            FLOW, engine="realtime", realtime=self.realtime.model_dump(), private_variables=self.private
        )
        self.engine = RealtimeCall(
            self.realtime,
            open_link=lambda: Link.open(
                self._connections, key="sk-test", address=f"http://{self._address}/v1", model=self.realtime.model
            ),
            flows=GuidedDialogue(clock=lambda: NOW),
            transcriber=self.behind,
            speaker=self.voice,
            kept=self._kept,
        )
        self._speaker = FailoverSpeaker(
            [Candidate(self.engine, Health("realtime")), Candidate(self.voice, Health("behind"))]
        )
        dialogue = RealtimeDialogue(self.engine, self.realtime)
        self.conversation = dialogue.converse(call_of(template, resume=resume), _NotRecorded())
        return await self._hear(self.conversation.begin(), None)

    async def say(self, sound: bytes, *, words: int | None = None) -> list[str]:
        """Say it, and hear the agent's answer; of that only so many words."""

        async def turn() -> AsyncIterator[bytes]:
            for at in range(0, len(sound), 256):
                yield sound[at : at + 256]

        heard = [one.text async for one in self.engine.transcribe(turn()) if one.final]
        if not heard:
            return []
        self.conversation.overhear(Utterance(speaker="caller", text=heard[0], at_s=0))
        return await self._hear(self.conversation.answer(Heard(heard[0])), words)

    async def _hear(self, replies: AsyncIterator[Reply], words: int | None) -> list[str]:
        said: list[str] = []
        async for reply in replies:
            if isinstance(reply, Finish):
                self.finish = reply
            if isinstance(reply, Say) and reply.text:
                chunks = [chunk async for chunk in self._speaker.speak(reply.text, Voice())]
                assert all(chunk.audio for chunk in chunks)
                said.append(" ".join(chunk.text for chunk in chunks if chunk.text))
        heard = " ".join(said).split()[:words]
        if heard:
            self.conversation.overhear(
                Utterance(speaker="agent", text=" ".join(heard), at_s=0, interrupted=words is not None)
            )
        return said


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
async def caller(vendor: Vendor, connections: Connections) -> AsyncIterator[Caller]:
    async with serving(vendor.app) as address:
        made = Caller(address, connections, KeptSpeech())
        yield made
        await made.engine.release()


def conversation(vendor: Vendor) -> list[str]:
    """What the model has in mind."""
    return list(vendor.items.values())


async def test_the_model_hears_answers_and_takes_the_flow_on_and_lines_of_the_flow_have_its_voice(
    vendor: Vendor, caller: Caller
) -> None:
    assert await caller.call() == [GREETING]
    vendor.replies = [Says("It is two lamps. Right?"), Says("Sure.", [("move", {"day": "2026-11-27"})])]
    assert await caller.say(vendor.sound_of("what is it")) == ["It is two lamps. Right?"]
    said = await caller.say(vendor.sound_of("come on Friday"))
    assert (said[0], said[-1]) == ("Sure.", "What is the new address?")
    assert caller.conversation.answers == {"day": "2026-11-27"}
    assert conversation(vendor) == [
        f"assistant: {GREETING}",
        "user: what is it",
        "assistant: It is two lamps. Right?",
        "user: come on Friday",
        "assistant: Sure.",
        "result: Done. What follows from it is being said to the caller.",
    ]
    (session,) = vendor.sessions
    assert session["audio"]["output"]["voice"] == "marin"
    assert session["audio"]["input"]["transcription"] == {"model": "gpt-4o-mini-transcribe"}
    assert [tool["name"] for tool in vendor.asked[0]["tools"]] == ["confirm", "move", "pay"]
    assert vendor.asked[0]["instructions"].startswith("You are Maya.")
    assert caller.voice.said == []
    assert caller.behind.turns == []


async def test_what_is_private_is_said_by_the_voice_behind_and_never_told_to_the_model(
    vendor: Vendor, caller: Caller
) -> None:
    caller.private = ["name"]
    assert await caller.call() == [GREETING]
    assert caller.voice.said == [GREETING]
    vendor.replies = [Says("It is two lamps. Right?")]
    assert await caller.say(vendor.sound_of("what is it")) == ["It is two lamps. Right?"]
    assert conversation(vendor)[0] == "assistant: Hello [name]. Is your order correct?"
    assert "Asha" not in json.dumps([vendor.received, vendor.sessions, vendor.asked])


async def test_of_what_was_interrupted_the_model_has_said_only_what_was_heard(vendor: Vendor, caller: Caller) -> None:
    await caller.call()
    vendor.replies = [Says("one two three four five six seven eight nine ten"), Says("Right."), Says("Fine.")]
    await caller.say(vendor.sound_of("what is it"), words=4)
    await caller.say(vendor.sound_of("stop that"), words=0)
    assert await caller.say(vendor.sound_of("go on")) == ["Fine."]
    cut = next(one for one in conversation(vendor) if "cut at" in one)
    assert cut.startswith("assistant: one two")
    assert 900 <= int(cut.partition("cut at ")[2].strip("]")) <= 1500  # a word takes 300 ms
    assert "assistant: Right." not in conversation(vendor)
    assert conversation(vendor)[-1] == "assistant: Fine."


async def test_a_noise_is_no_turn(vendor: Vendor, caller: Caller) -> None:
    await caller.call()
    vendor.replies = [Says("Pardon me, what was that about?"), Says("Two lamps.")]
    assert await caller.say(b"\xee" * 4000) == []
    assert await caller.say(vendor.sound_of("what is it")) == ["Two lamps."]
    assert [one for one in conversation(vendor) if one.startswith("user")] == ["user: what is it"]


async def test_exact_phrases_keys_and_silence_need_no_answer_of_the_model(vendor: Vendor, caller: Caller) -> None:
    await caller.call()
    assert await caller._hear(caller.conversation.answer(Silence()), None) == ["Please say yes or no."]
    vendor.replies = [Says("", [("confirm", {})])]
    assert await caller.say(vendor.sound_of("yes please")) == ["Thank you. Goodbye."]
    assert caller.finish is not None
    assert caller.finish.result == "confirmed"


async def test_nothing_private_goes_to_the_model(vendor: Vendor, caller: Caller) -> None:
    await caller.call()
    vendor.replies = [Says("", [("pay", {})])]
    assert await caller.say(vendor.sound_of("pay now")) == ["Your card number, please."]
    before = len(vendor.received)
    caller.behind.text = "4111 1111 1111 1111"
    assert await caller.say(vendor.sound_of("four one one one")) == ["Thank you. Goodbye."]
    assert caller.behind.turns == [4 * 2400]
    assert not [one for one in vendor.received[before:] if one["type"] == "input_audio_buffer.commit"]
    assert not [one for one in conversation(vendor) if "4111" in one]


async def test_a_greeting_is_made_once(vendor: Vendor, caller: Caller) -> None:
    await caller.call()
    await caller.engine.release()
    assert await caller.call() == [GREETING]
    lines = [one for one in vendor.received if one["type"] == "response.create"]
    assert len(lines) == 1


async def test_a_connection_that_breaks_in_mid_utterance_is_replaced_and_hears_the_turn_again(
    vendor: Vendor, caller: Caller
) -> None:
    await caller.call()
    vendor.drop_after_appends = [1]
    vendor.replies = [Says("Two lamps.")]
    assert await caller.say(vendor.sound_of("what is in it then")) == ["Two lamps."]
    assert conversation(vendor) == [
        f"assistant: {GREETING}",
        "user: what is in it then",
        "assistant: Two lamps.",
    ]
    assert len(vendor.sessions) == 2


@pytest.mark.parametrize("fault", ["fails", "hangs", "drops", "garbage"])
async def test_a_response_that_fails_leaves_the_turn_to_the_script(vendor: Vendor, caller: Caller, fault: Any) -> None:
    caller.realtime = caller.realtime.model_copy(update={"timeout_s": 0.3})
    await caller.call()
    vendor.replies = [Says("", fault=fault)]
    assert await caller.say(vendor.sound_of("hm hm hm")) == ["Please say yes or no."]


@pytest.mark.parametrize("fault", ["fails", "drops"])
async def test_a_response_that_breaks_off_is_followed_by_the_question(
    vendor: Vendor, caller: Caller, fault: Any
) -> None:
    await caller.call()
    vendor.replies = [Says("It is two lamps.", fault=fault, after_words=2)]
    first, second = await caller.say(vendor.sound_of("what is it"))
    assert first == "It is"
    assert second == GREETING


@pytest.mark.parametrize("status", [401, 429, 500])
async def test_without_a_connection_the_engines_behind_hold_the_conversation(
    vendor: Vendor, caller: Caller, status: int
) -> None:
    vendor.refusals = [status] * 9
    assert await caller.call() == [GREETING]
    assert await caller.say(vendor.sound_of("who is this")) == ["Please say yes or no."]
    assert caller.voice.said == [GREETING, "Please say yes or no."]
    assert caller.behind.turns == [3 * 2400]
    assert len(vendor.refusals) == 8  # not asked again and again while the caller waits


async def test_a_conversation_that_goes_on_elsewhere_is_known_to_the_new_connection(
    vendor: Vendor, caller: Caller
) -> None:
    spoken = (
        Utterance(speaker="agent", text=GREETING, at_s=0),
        Utterance(speaker="caller", text="what is it", at_s=1),
        Utterance(speaker="agent", text="It is two", at_s=2, interrupted=True),
    )
    await caller.call(resume=ConversationState(node="ask", transcript=spoken, began_at=NOW))
    assert conversation(vendor)[:3] == [f"assistant: {GREETING}", "user: what is it", "assistant: It is two –"]


async def test_a_value_that_is_none_is_explained_and_with_free_wording_the_model_words_the_question(
    vendor: Vendor, caller: Caller
) -> None:
    caller.realtime = caller.realtime.model_copy(update={"wording": "free"})
    await caller.call()
    vendor.replies = [
        Says("", [("move", {"day": "2020-01-01"})]),
        Says("", [("move", {"day": "2026-11-27"})]),
        Says("Friday then! And where to?"),
    ]
    assert (await caller.say(vendor.sound_of("another day")))[-1] == "Friday then! And where to?"
    results = [one for one in conversation(vendor) if one.startswith("result")]
    assert "a date not before 2026-11-24 is wanted" in results[0]
    assert results[1].endswith('"What is the new address?"')
    assert vendor.asked[2]["tool_choice"] == "none"
