"""People do what their behaviour says, at the agent's pace."""

import asyncio
import itertools
import threading
import time

import pytest

from breeze_buddy.simulator.errors import ConfigurationError
from breeze_buddy.simulator.people import Person, load_scenario, stranger
from breeze_buddy.simulator.population import KINDS, people
from breeze_buddy.simulator.speech import Speech

PHONE = "+14155551111"


def did(witness):
    return [(said["did"], said["text"]) for said in witness["said"]]


@pytest.fixture
def converse(start, media, stream):
    """Calls a person with an agent that says a tone for each of ``turns`` and waits ``between_s`` after each."""

    async def run(person, turns=1, between_s=1.2, hold=False, tone_s=0.4, **parameters):
        lab = await start([{"phone": PHONE, "ring_s": 0, "patience_s": 0.3, "max_call_s": 20} | person])

        async def talk(server):
            for _ in range(turns):
                await server.say(tone_s)
                await asyncio.sleep(between_s)
            if hold:
                await server.finished.wait()
            await server.close()

        server = media(talk)
        call = await lab.call(PHONE, Twiml=stream(), **parameters)
        return server, await lab.until_over(call["sid"])

    return run


async def test_a_talker_says_one_sentence_after_each_time_the_agent_has_spoken(converse):
    server, witness = await converse({"script": ["Yes.", "No."]}, turns=3)
    assert did(witness) == [("say", "Yes."), ("say", "No.")]
    first = witness["said"][0]["at_s"]
    assert 0.6 <= first <= 1.7, "the tone of 0.4 s and the patience of 0.3 s"
    loud = [message for message in server.of("media") if len(set(message["media"]["payload"])) > 8]
    assert len(loud) > 10
    assert witness["ending"]["by"] == "the TwiML"


async def test_someone_who_is_not_spoken_to_says_nothing(converse):
    _, witness = await converse({"script": ["Yes."]}, turns=0, between_s=0)
    assert did(witness) == []


async def test_a_script_may_wait_press_keys_and_hang_up(converse):
    script = [
        {"press": "42"},
        {"wait": 0.2},
        {"say": "Bye.", "unprompted": True},
        {"hang_up": True, "unprompted": True},
    ]
    server, witness = await converse({"script": script}, hold=True)
    assert did(witness) == [("press", "42"), ("say", "Bye."), ("hang_up", "hung up")]
    assert [event["dtmf"]["digit"] for event in server.of("dtmf")] == ["4", "2"]
    assert witness["ending"]["by"] == "the callee"


async def test_someone_hangs_up_early(converse):
    _, witness = await converse({"behaviour": "hangs_up_early", "after_s": 0.3}, hold=True)
    assert did(witness) == [("hang_up", "hung up early")]
    assert witness["said"][0]["at_s"] == pytest.approx(0.3, abs=0.03)


async def test_someone_hangs_up_while_the_agent_speaks(converse):
    person = {"behaviour": "hangs_up_mid_sentence", "after_s": 0.4}
    _, witness = await converse(person, tone_s=2, hold=True)
    assert did(witness) == [("hang_up", "hung up mid-sentence")]
    assert 0.35 <= witness["said"][0]["at_s"] <= 2.0


async def test_a_voicemail_greets_beeps_and_then_listens(converse):
    person = {"behaviour": "voicemail", "greeting": "Leave a message."}
    _, witness = await converse(person, between_s=2.5)
    assert did(witness) == [("say", "Leave a message."), ("beep", "")]


async def test_a_silent_person_hangs_up_after_the_longest_call(converse):
    _, witness = await converse({"behaviour": "silent", "max_call_s": 0.5}, hold=True)
    assert did(witness) == [("hang_up", "hung up: enough talked")]


async def test_a_call_of_no_length_is_completed_at_once(converse, start):
    lab = await start([{"phone": PHONE, "ring_s": 0, "talk_s": 0}])
    call = await lab.call(PHONE, Twiml="<Response/>", Record="true")
    witness = await lab.until_over(call["sid"])
    assert (witness["status"], witness["duration_s"], witness["streams"]) == ("completed", 0, [])


async def test_attempts_follow_each_other_and_the_last_behaviour_stays(start):
    person = {"phone": PHONE, "ring_s": 0.01, "talk_s": 0, "attempts": ["no_answer", {"behaviour": "busy"}]}
    lab = await start([person])
    endings = []
    for _ in range(4):
        call = await lab.call(PHONE, Twiml="<Response/>")
        endings.append((await lab.until_over(call["sid"]))["status"])
    assert endings == ["no-answer", "busy", "completed", "completed"]


async def test_the_witness_counts_calls_that_were_live_at_once(start):
    lab = await start([{"phone": PHONE, "behaviour": "busy", "ring_s": 0.2}])
    calls = [await lab.call(PHONE, Twiml="<Response/>") for _ in range(2)]
    for call in calls:
        await lab.until_over(call["sid"])
    call = await lab.call(PHONE, Twiml="<Response/>")
    await lab.until_over(call["sid"])
    summary = await lab.get("/simulator/summary")
    assert summary["max_live_by_callee"] == {PHONE: 2}
    assert summary["by_status"] == {"busy": 3}


@pytest.mark.parametrize(
    ("last", "first", "second"),
    [
        ("0010", "no_answer", "no_answer"),
        ("0011", "busy", "busy"),
        ("0012", "failed", "failed"),
        ("0013", "canceled", "canceled"),
        ("0014", "voicemail", "voicemail"),
        ("0015", "hangs_up_early", "hangs_up_early"),
        ("0017", "silent", "silent"),
        ("0018", "hangs_up_mid_sentence", "hangs_up_mid_sentence"),
        ("0020", "no_answer", "answers"),
        ("0021", "busy", "answers"),
        ("0022", "failed", "answers"),
        ("0023", "canceled", "answers"),
        ("0024", "declines", "declines"),
        ("0025", "answers", "answers"),
        ("1234", "answers", "answers"),
    ],
)
def test_the_last_digits_of_an_unknown_number_say_who_answers(last, first, second):
    person = stranger("+1415555" + last)
    assert (person.behaviour_for(1).behaviour, person.behaviour_for(2).behaviour) == (first, second)


def test_made_up_people_are_repeatable_distinct_and_of_every_kind():
    made = people(40, seed=7)
    assert made == people(40, seed=7)
    assert made != people(40, seed=8)
    assert len({person.phone for person in made}) == 40
    assert {person.kind for person in made} == set(KINDS)
    assert {person.kind for person in people(5, 1, ["busy"])} == {"busy"}
    with pytest.raises(ValueError, match="unknown kinds"):
        people(1, 1, ["cheerful"])


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_a_scenario_file_is_read_back(tmp_path, suffix):
    path = tmp_path / f"scenario.{suffix}"
    path.write_text('{"people": [{"phone": "+14155551111", "script": ["Yes.", {"press": "1"}], "attempts": ["busy"]}]}')
    [person] = load_scenario(path).people
    assert person == Person.model_validate(
        {"phone": PHONE, "script": [{"say": "Yes."}, {"press": "1"}], "attempts": [{"behaviour": "busy"}]}
    )


@pytest.mark.parametrize(
    "content",
    [
        "[",
        '[{"phone": "0123"}]',
        '[{"phone": "+14155551111", "behavior": "busy"}]',
        '{"persons": []}',
        '[{"phone": "+14155551111", "script": [{"say": "a", "press": "1"}]}]',
    ],
)
def test_a_wrong_scenario_says_which_file_and_what(tmp_path, content):
    path = tmp_path / "people.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"people\.json"):
        load_scenario(path)


async def test_rendering_a_sentence_does_not_stall_the_audio(start, media, stream, monkeypatch):
    def render_slowly(self, text, voice):
        time.sleep(1.5)
        rendered.set()
        return b"\xff" * 160

    rendered = threading.Event()
    monkeypatch.setattr(Speech, "_render", render_slowly)
    lab = await start([{"phone": PHONE, "ring_s": 0, "behaviour": "silent"}])
    arrivals = []

    async def talk(server):
        while not rendered.is_set():
            await server.wait_for("media", len(server.of("media")) + 1)
            arrivals.append(time.monotonic())
        await server.close()

    server = media(talk)
    await lab.call(PHONE, Twiml=stream())
    await server.started.wait()
    sentence = f"A sentence that nobody has said before, at {time.time()}."
    people = [{"phone": "+14155559999", "script": [sentence]}]
    await lab.session.post(lab.simulator.url + "/simulator/people", json=people)
    await server.finished.wait()
    assert max(later - earlier for earlier, later in itertools.pairwise(arrivals)) < 1
    assert len(arrivals) > 50
