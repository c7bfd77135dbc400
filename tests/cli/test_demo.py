"""The demo's people, and what each kind must lead to."""

import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from breeze_buddy.cli.demo_expectations import EXPECTATIONS
from breeze_buddy.cli.demo_people import ASKING, make_people, with_those_who_ask
from breeze_buddy.cli.demo_report import ReportedCall, ReportedLead, make_report, report_lead, table_of
from breeze_buddy.cli.demo_template import TEMPLATE
from breeze_buddy.domain.call import AnsweredBy, CallStatus
from breeze_buddy.domain.conversation import Ending
from breeze_buddy.domain.outcome import Attempt
from breeze_buddy.domain.phone import parse_e164
from breeze_buddy.domain.retry import Finish, next_step

_NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
_SPOKE = Attempt(status=CallStatus.COMPLETED, ending=Ending.REACHED_END)
_NO_ANSWER = Attempt(status=CallStatus.NO_ANSWER)
_BUSY = Attempt(status=CallStatus.BUSY)
_FAILED = Attempt(status=CallStatus.FAILED)
_CANCELED = Attempt(status=CallStatus.CANCELED)
_HUNG_UP = Attempt(status=CallStatus.COMPLETED, ending=Ending.CALLER_HUNG_UP)
_MACHINE = Attempt(status=CallStatus.COMPLETED, answered_by=AnsweredBy.MACHINE)
_LATER = Attempt(status=CallStatus.COMPLETED, ending=Ending.REACHED_END, callback_at=_NOW + timedelta(seconds=4))

# What happens each time the phone of such a person is called; the last repeats.
WHAT_HAPPENS: dict[str, list[Attempt]] = {
    "talks": [_SPOKE],
    "presses_digits": [_SPOKE],
    "no_answer": [_NO_ANSWER],
    "busy": [_BUSY],
    "failed": [_FAILED],
    "canceled": [_CANCELED],
    "voicemail": [_MACHINE],
    "hangs_up_early": [_HUNG_UP],
    "hangs_up_mid_sentence": [_HUNG_UP],
    "silent": [Attempt(status=CallStatus.COMPLETED, ending=Ending.NO_INPUT)],
    "no_answer_then_talks": [_NO_ANSWER, _SPOKE],
    "busy_then_talks": [_BUSY, _SPOKE],
    "failed_then_talks": [_FAILED, _SPOKE],
    "canceled_then_talks": [_CANCELED, _SPOKE],
    "asks_for_callback": [_LATER, _SPOKE],
    "asks_not_to_be_called": [
        Attempt(status=CallStatus.COMPLETED, ending=Ending.REACHED_END, do_not_call=True),
    ],
}


@pytest.mark.parametrize("kind", EXPECTATIONS)
def test_what_is_expected_of_a_person_follows_from_the_rules(kind: str) -> None:
    happens, attempts = WHAT_HAPPENS[kind], list[Attempt]()
    while True:
        attempts.append(happens[min(len(attempts), len(happens) - 1)])
        step = next_step(TEMPLATE.retry, attempts, now=_NOW)
        if isinstance(step, Finish):
            break
    assert step.outcome == EXPECTATIONS[kind].outcome
    assert tuple(attempt.status for attempt in attempts) == EXPECTATIONS[kind].calls


async def test_twenty_people_are_of_all_kinds_and_the_same_for_the_same_seed() -> None:
    people = await make_people(20, seed=1)
    assert len({person.phone for person in people}) == 20
    assert {person.kind for person in people} == set(EXPECTATIONS)
    assert [person.phone for person in people] == [parse_e164(person.phone) for person in people]
    assert await make_people(20, seed=1) == people
    assert await make_people(20, seed=2) != people


async def test_every_lead_brings_what_the_template_says() -> None:
    for person in await make_people(3, seed=1):
        TEMPLATE.check_variables({"name": person.name, "item": person.item})


def test_those_who_ask_replace_only_whoever_is_there_twice() -> None:
    once = [{"phone": "+1", "name": "Ada", "kind": kind} for kind in ("talks", "busy")]
    assert with_those_who_ask(once) == once
    twice = [*once, {"phone": "+2", "name": "Ben", "kind": "busy", "behaviour": "busy"}]
    changed = with_those_who_ask(twice)
    assert changed[:2] == once
    assert changed[2]["kind"] in ASKING
    assert changed[2]["behaviour"] == "answers"
    assert changed[2]["phone"] == "+2"


def test_phrases_of_those_who_ask_are_in_the_template() -> None:
    spoken = [turn["say"] for does in ASKING.values() for turn in (does.get("script") or does["attempts"][0]["script"])]
    phrases = [phrase for node in TEMPLATE.flow.nodes.values() for f in node.functions for phrase in f.phrases]
    for sentence in spoken:
        assert any(phrase in sentence.lower() for phrase in phrases), sentence


@dataclass
class Seen:
    """A lead as a test writes it."""

    kind: str
    status: str = "FINISHED"
    outcome: str | None = "COMPLETED"
    calls: tuple[tuple[str, str | None], ...] = (("completed", "RE1"),)
    attempts: int | None = None

    def differences(self) -> list[str]:
        lead = ReportedLead(
            id="l",
            phone="+1",
            name="Ada",
            person=self.kind,
            status=self.status,
            outcome=self.outcome,
            attempts=len(self.calls) if self.attempts is None else self.attempts,
            calls=[ReportedCall(sid="CA", status=s, duration_s=3, recording=r) for s, r in self.calls],
            unexpected=[],
        )
        return EXPECTATIONS[self.kind].differences(lead)


def test_a_lead_that_ended_as_it_must_has_no_differences() -> None:
    assert Seen("talks").differences() == []
    assert Seen("busy", outcome="BUSY", calls=(("busy", None), ("busy", None))).differences() == []


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (Seen("talks", status="RETRY", outcome=None), "is RETRY after 1 attempts, not FINISHED"),
        (Seen("talks", outcome="HUNG_UP"), "outcome is HUNG_UP, not COMPLETED"),
        (Seen("talks", calls=(("completed", None),)), "call 1 was completed and has no stored recording"),
        (Seen("talks", calls=(("completed", "RE1"),) * 2), "made 2 attempts, not 1"),
        (Seen("talks", calls=(("busy", None),)), "calls ended busy, not completed"),
        (Seen("busy", outcome="BUSY", calls=(("busy", "RE1"), ("busy", None))), "call 1 was busy and has a recording"),
        (Seen("talks", outcome=None, calls=()), "calls ended never, not completed"),
    ],
)
def test_whatever_is_not_as_it_must_be_is_said(seen: Seen, words: str) -> None:
    assert words in seen.differences()


async def test_the_report_counts_only_attempts_that_count_and_recordings_that_are_stored() -> None:
    person = (await make_people(1, seed=1))[0]
    call = {"sid": "CA1", "status": "completed", "duration_s": 9, "counted": True}
    lead = {
        "id": "l",
        "phone": person.phone,
        "status": "FINISHED",
        "outcome": "COMPLETED",
        "attempts": 1,
        "calls": [
            call | {"sid": None, "status": None, "duration_s": None, "counted": False, "recording": None},
            call | {"recording": {"sid": "RE1", "stored": True}},
            call | {"sid": "CA2", "recording": {"sid": "RE2", "stored": False}},
        ],
    }
    reported = report_lead(lead, person)
    assert [call.recording for call in reported.calls] == ["RE1", None]
    report = make_report([reported], people=1, wall_s=1.26)
    assert report.totals["recordings"] == 1
    assert report.totals["by_call_status"] == {"completed": 2}
    assert report.totals["wall_s"] == 1.3


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_shows_each_lead_whole_on_a_terminal_of_any_width(width: int) -> None:
    lead = ReportedLead(
        id="l",
        phone="+447866517680",
        name="Ada",
        person="asks_not_to_be_called",
        status="FINISHED",
        outcome="DO_NOT_CALL",
        attempts=1,
        calls=[ReportedCall(sid="CA", status="completed", duration_s=8, recording="RE")],
        unexpected=[],
    )
    console = Console(width=width, file=io.StringIO())
    console.print(table_of(make_report([lead], people=1, wall_s=1), width=width))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    for text in ("+447866517680", "DO_NOT_CALL", "8 s", "✓", "attempts", "duration", "recording"):
        assert text in shown
    assert ("FINISHED" in shown) is (width == 120)
    assert "…" not in shown


def test_a_report_without_leads_is_not_a_success() -> None:
    assert not make_report([], people=20, wall_s=1).as_expected
