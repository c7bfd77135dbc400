"""A caller is handed to a human, in both orders and with every ending; the simulator's record is the judge.

The stories of one order run at the same time, a few at once, on the one stack of all tests.
"""

import array
import asyncio
import io
import os
import wave
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import pytest

from .listening import Story, epoch_s, story_of
from .stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

AT_ONCE = int(os.environ.get("TRANSFERS_AT_ONCE", "6"))
ALONE_S = 5
COMFORT_EVERY_S = 3
SLOW_S = 1.5  # processes of a busy machine, and slots of the record

FLOW = {
    "start": "ask",
    "nodes": {
        "ask": {
            "say": "Hello {name}. Press one for a human.",
            "functions": [{"name": "human", "digits": "1", "go": "hand_over"}],
            "max_reprompts": 6,
        },
        "hand_over": {
            "say": "Please hold.",
            "then": {"action": "transfer_to_agent", "reason": "{name} asks about {item}.", "failed": "alone"},
        },
        "alone": {
            "say": "It was {transfer_result}. Goodbye.",
            "then": {"action": "end_conversation", "result": "helped"},
        },
    },
}
ASKS: list[dict[str, Any]] = [{"press": "1"}]
TALKS = {"say": "This is the team. How can I help you?", "unprompted": True, "after_s": 3}
ANSWERS = {"ring_s": 1, "script": [TALKS, {**TALKS, "after_s": 1}], "talk_s": 9}
BUSY = {"behaviour": "busy", "ring_s": 0.5}
FAR_DAY = f"{datetime.now(UTC) + timedelta(days=3):%a}".lower()
SHORT = "A customer."
LONG = "A customer is on the phone, and this is a long story that takes a while to tell. " * 2


def leaves(after_s: float) -> dict[str, Any]:
    """The customer hangs up so long after asking for a human."""
    return {"script": [*ASKS, {"hang_up": True, "unprompted": True, "after_s": after_s}]}


@dataclass(frozen=True)
class Case:
    """A team, a customer, and how it must end. `talk`: customer and human heard each other. `rung`: how often a
    phone of the team was rung; None: each once."""

    name: str
    ending: str
    team: tuple[dict[str, Any], ...]
    customer: dict[str, Any] = field(default_factory=lambda: {"script": ASKS})
    policy: dict[str, Any] = field(default_factory=dict)
    outcome: str = "COMPLETED"
    result: str | None = "helped"
    orders: tuple[str, ...] = ("customer_first", "agent_first")
    rung: int | None = None

    @property
    def talk(self) -> bool:
        return self.ending == "talked"


def talked(
    name: str,
    *team: dict[str, Any],
    customer: dict[str, Any] | None = None,
    orders: tuple[str, ...] = ("customer_first", "agent_first"),
    **policy: Any,
) -> Case:
    return Case(name, "talked", team, customer or {"script": ASKS}, policy, "TRANSFERRED", "transferred", orders)


def hung_up(name: str, human: dict[str, Any], after_s: float, **policy: Any) -> Case:
    return Case(name, "customer_hung_up", (human,), leaves(after_s), policy, "HUNG_UP", None)


CASES = [
    talked("agent hangs up first", ANSWERS),
    talked("customer hangs up first", {**ANSWERS, "talk_s": 60}, customer=leaves(11)),
    Case("no answer", "no_answer", ({"behaviour": "no_answer"},)),
    Case("busy", "busy", (BUSY,)),
    Case("declined", "declined", ({"behaviour": "declines", "ring_s": 0.5},)),
    Case(
        "declined by digit",
        "declined",
        ({"ring_s": 0.5, "script": [{"press": "2"}]},),
        policy={"accept": "digit"},
        orders=("customer_first",),
    ),
    Case("voicemail", "voicemail", ({"behaviour": "voicemail", "ring_s": 0.5},), policy={"briefing": LONG}),
    Case("voicemail found late", "voicemail", ({"behaviour": "voicemail", "ring_s": 0.5},), orders=("customer_first",)),
    Case("invalid number", "invalid_number", ({"behaviour": "failed", "ring_s": 0.3},), orders=("agent_first",)),
    hung_up("customer hangs up while it rings", {"ring_s": 15}, 5),
    hung_up("customer hangs up during the briefing", {"ring_s": 0.2, "script": []}, 5, briefing=LONG),
    talked("first busy, second answers", {"behaviour": "busy", "ring_s": 0.3}, ANSWERS, orders=("customer_first",)),
    talked(
        "all at once, accepted by digit",
        {"ring_s": 15},
        {"ring_s": 0.5, "script": [{"press": "1"}, TALKS], "talk_s": 12},
        orders=("agent_first",),
        ring="all_at_once",
        accept="digit",
    ),
    Case("second round", "busy", (BUSY,), policy={"rounds": 2}, orders=("agent_first",), rung=2),
    Case("nobody in time", "nobody", ({"ring_s": 15},), policy={"max_wait_s": 5}, orders=("customer_first",)),
    Case("closed", "closed", (ANSWERS,), policy={"business_hours": {"days": [FAR_DAY]}}, rung=0),
]


# Seconds that are usual, and those that nobody may exceed even where six calls share two busy processors.
LIMITS_S = {
    "please hold to music": (1.0, 2.0),
    "accept to hearing the human": (1.0, 2.0),
    "gap between AI and human": (0.3, 0.3),
    "human alone": (1.0, ALONE_S),
    "customer alone, nobody rung": (1.0, ALONE_S),
    "phone busy after customer left": (1.0, 2.0),
}


class Figures:
    """What the customers had to wait for in silence, by order."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], list[float]] = {}

    def add(self, order: str, what: str, seconds: float | None) -> None:
        if seconds is not None:
            self.rows.setdefault((order, what), []).append(seconds)

    def table(self) -> str:
        lines = [f"{'order':15}{'what':36}{'calls':>6}{'median':>9}{'worst':>9}"]
        for (order, what), seconds in sorted(self.rows.items()):
            lines.append(f"{order:15}{what:36}{len(seconds):>6}{median(seconds):>8.2f}s{max(seconds):>8.2f}s")
        return "\n".join(lines)


async def play(stack: Stack, order: str, case: Case) -> tuple[Story, dict[str, Any]]:
    """One customer's call to its end; what the record says, and our own view of the call."""
    team = [await stack.person(**human) for human in case.team]
    customer = await stack.person(**case.customer)
    campaign_id = await stack.campaign(
        [customer], channels=1, flow=FLOW, transfer=policy(order, team, **case.policy), **ONCE
    )
    lead = (await stack.finished(campaign_id))[customer]
    story = await story_of(stack, customer, team)
    return story, {**lead["calls"][0], "outcome": lead["outcome"]}


ONCE = {"retry": {"max_retries": 0, "cooldown": 1}}


def policy(order: str, team: list[str], **changes: Any) -> dict[str, Any]:
    return {
        "agents": team,
        "order": order,
        "ring_timeout_s": 5,
        "max_wait_s": 40,
        "alone_s": ALONE_S,
        "comfort_every_s": COMFORT_EVERY_S,
        "briefing": SHORT,
        **changes,
    }


def judge(order: str, case: Case, story: Story, call: dict[str, Any], figures: Figures) -> None:
    """What must be, and what must never be."""
    [transfer] = call["transfers"]
    assert transfer["ending"] == case.ending, (case.name, transfer)
    assert call["outcome"] == case.outcome, (case.name, call)
    assert call["conversation"]["result"] == case.result, (case.name, call)
    assert call["conversation"]["answers"]["transfer_result"] == case.ending
    assert len(story.humans) == (len(case.team) if case.rung is None else case.rung), case.name
    assert (story.human is not None) == (case.talk or case.name == "voicemail found late"), case.name
    if case.talk:
        human = story.human
        assert human is not None
        assert sum(sounding for _, _, sounding in story.customer.hearing(human.sid)) >= 0.5, case.name
        assert human.hearing(story.customer.sid), case.name
        figures.add(order, "accept to hearing the human", story.accept_to_hearing_s())
        if order == "agent_first":
            figures.add(order, "gap between AI and human", story.gap_s())
    if order == "customer_first":
        figures.add(order, "please hold to music", story.silence_before_music_s())
    figures.add(order, "human alone", story.human_alone_s())
    figures.add(order, "customer alone, nobody rung", story.forsaken_s())
    figures.add(order, "phone busy after customer left", story.rang_on_s())
    # The socket is closed by Twilio, when the caller was moved; by us only when the conversation is over.
    [first, *_] = story.customer.call["streams"]
    moved = transfer["customer_moved_at"] is not None
    assert (first["ended"] == "stopped by the call") == (moved or case.ending == "customer_hung_up"), (case.name, first)
    if order == "agent_first" and not case.talk and not moved and case.ending != "customer_hung_up":
        assert len(story.customer.call["streams"]) == 1, "without a human, the customer never leaves the agent"
    assert story.longest_silence_s() <= COMFORT_EVERY_S + SLOW_S or story.human is not None, case.name


@pytest.mark.alone
async def test_every_ending_in_both_orders(stack: Stack) -> None:
    figures = Figures()
    turn = asyncio.Semaphore(AT_ONCE)

    async def tell(order: str, case: Case) -> str | None:
        async with turn:
            try:
                story, call = await play(stack, order, case)
                judge(order, case, story, call, figures)
            except AssertionError as error:
                return f"{order}, {case.name}: {error}"
        return None

    wrong = await asyncio.gather(*(tell(order, case) for case in CASES for order in case.orders))
    print("\n" + figures.table())
    assert not [one for one in wrong if one], "\n".join(one for one in wrong if one)
    for (order, what), seconds in figures.rows.items():
        usual, worst = LIMITS_S[what]
        assert median(seconds) <= usual, (order, what, seconds)
        assert max(seconds) <= worst, (order, what, seconds)
    rooms = (await stack.simulator.get("/simulator/conferences")).json()
    names = [room["friendly_name"] for room in rooms]
    assert len(names) == len(set(names)), "a conference's name was used twice"


async def test_a_line_is_taken_until_the_talk_is_over_and_the_recording_holds_both(stack: Stack) -> None:
    human = await stack.person(**ANSWERS)
    first, second = await stack.person(script=ASKS), await stack.person(behaviour="busy", ring_s=0.2)
    transfer = policy("customer_first", [human])
    campaign_id = await stack.campaign([first, second], channels=1, flow=FLOW, transfer=transfer, **ONCE)
    leads = await stack.finished(campaign_id)
    story = await story_of(stack, first, [human])
    name = leads[first]["calls"][0]["transfers"][0]["conference_name"]
    [room] = (await stack.simulator.get("/simulator/conferences", params={"name": name})).json()
    [next_call] = await stack.witness(second)
    assert epoch_s(next_call["times"]["created"]) >= epoch_s(room["ended"])

    call = leads[first]["calls"][0]
    heard = _second_channel((await stack.api.get(f"/calls/{call['id']}/recording")).content)
    assert story.human is not None
    for source in ("agent-stream", "music", story.human.sid):
        loudest = max(
            _loudness(heard, start - story.customer.answered_s, end - story.customer.answered_s)
            for start, end, _ in story.customer.hearing(source)
        )
        assert loudest > 200, source


def _second_channel(wav: bytes) -> "array.array[int]":
    """What the callee heard, as 16-bit samples of 8 kHz."""
    with wave.open(io.BytesIO(wav)) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 8000)
        both = array.array("h", file.readframes(file.getnframes()))
    return both[1::2]


def _loudness(samples: "array.array[int]", start_s: float, end_s: float) -> int:
    """The loudest sample between two seconds."""
    return max((abs(sample) for sample in samples[round(start_s * 8000) : round(end_s * 8000)]), default=0)


async def test_one_human_and_two_customers_the_second_waits_its_turn(stack: Stack) -> None:
    human = await stack.person(**{**ANSWERS, "talk_s": 7})
    phones = [await stack.person(script=ASKS), await stack.person(script=[{"wait": 2}, *ASKS])]
    campaign_id = await stack.campaign(
        phones, channels=2, flow=FLOW, transfer=policy("customer_first", [human]), **ONCE
    )
    leads = await stack.finished(campaign_id)
    assert [leads[phone]["outcome"] for phone in phones] == ["TRANSFERRED", "TRANSFERRED"]
    assert await stack.most_calls_at_once(human) == 1


async def test_an_operator_hands_a_caller_over_once_however_often_it_is_asked(stack: Stack) -> None:
    human, customer = await stack.person(**ANSWERS), await stack.person(behaviour="silent")
    campaign_id = await stack.campaign([customer], flow=FLOW, transfer=policy("agent_first", [human]), **ONCE)

    async def on_the_phone() -> Any:
        page = await stack.get(f"/campaigns/{campaign_id}/leads")
        lead = await stack.get(f"/leads/{page['items'][0]['id']}")
        calls = lead["calls"]
        return calls[0]["id"] if calls and calls[0]["status"] == "in-progress" else None

    call_id = await stack.until(on_the_phone)
    asked = [stack.api.post(f"/calls/{call_id}/transfer", json={"reason": "a {complaint"}) for _ in range(4)]
    answers = await asyncio.gather(*asked)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201], [a.text for a in answers]
    assert len({answer.json()["id"] for answer in answers}) == 1
    lead = (await stack.finished(campaign_id))[customer]
    assert lead["outcome"] == "TRANSFERRED"
    [transfer] = (await stack.get(f"/calls/{call_id}/transfers"))["items"]
    assert (transfer["asked_by"], transfer["ending"], len(transfer["legs"])) == ("operator", "talked", 1)
    late = await stack.api.post(f"/calls/{call_id}/transfer")
    assert (late.status_code, late.json()["code"]) == (409, "conflict")


KILLED_AT = {  # what the human is doing, who they are, and their briefing
    "ringing": ({**ANSWERS, "ring_s": 9, "talk_s": 25}, SHORT),
    "briefed": ({**ANSWERS, "ring_s": 0.5, "talk_s": 32}, LONG * 2),
    "talking": ({**ANSWERS, "ring_s": 0.5, "talk_s": 18}, SHORT),
}


async def test_a_worker_killed_at_any_stage_loses_nobody(stack: Stack) -> None:
    stories = [
        (order, stage, await stack.person(**human), await stack.person(script=ASKS), briefing)
        for order in ("customer_first", "agent_first")
        for stage, (human, briefing) in KILLED_AT.items()
    ]
    running = [
        await stack.campaign(
            [customer],
            flow=FLOW,
            transfer=policy(order, [human], ring_timeout_s=30, alone_s=30, briefing=briefing),
            **ONCE,
        )
        for order, _, human, customer, briefing in stories
    ]

    async def all_are_there() -> bool:
        stages = [await _stage(stack, human) for _, _, human, _, _ in stories]
        return stages == [stage for _, stage, *_ in stories]

    await stack.until(all_are_there, 40)
    killed = stack.kill("worker")
    waited: list[float] = []
    for campaign_id, (order, stage, human, customer, _) in zip(running, stories, strict=True):
        lead = (await stack.finished(campaign_id, timeout_s=90))[customer]
        assert lead["outcome"] == "TRANSFERRED", (order, stage, lead)
        story = await story_of(stack, customer, [human])
        assert len(story.humans) == 1, "rung once"
        waited.append(story.human_alone_s())
    print(f"\na human waited for a customer, with a worker killed meanwhile: {max(waited):.1f} s at the most")
    assert max(waited) <= 30
    assert stack.state["processes"]["worker"]["pid"] not in (None, killed)


async def _stage(stack: Stack, human: str) -> str | None:
    """What a human of the team is doing."""
    legs = await stack.witness(human)
    if not legs or legs[-1]["status"] == "ringing":
        return "ringing" if legs else None
    heard = (await stack.simulator.get(f"/simulator/calls/{legs[-1]['sid']}/heard")).json()["audible"]
    hears = heard[-1]["sources"][0] if heard else ""
    return "talking" if hears.startswith("CA") else "briefed" if hears == "say" else None
