"""Retry and outcome: a lead is called often enough, never too often, and is never forgotten."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from breeze_buddy.domain.call import TERMINAL, AnsweredBy, CallStatus, FailureClass
from breeze_buddy.domain.conversation import Ending
from breeze_buddy.domain.outcome import Attempt, Outcome, outcome_of
from breeze_buddy.domain.retry import LONGEST_BACKOFF, RETRIED, Finish, RetryAt, RetryPolicy, ReturnAt, next_step
from breeze_buddy.domain.window import CallingWindow

NOON = datetime(2026, 7, 21, 12, 0, tzinfo=UTC)
nows = st.integers(-500 * 86_400, 500 * 86_400).map(lambda seconds: NOON + timedelta(seconds=seconds))
attempts = st.builds(
    Attempt,
    status=st.none() | st.sampled_from(sorted(TERMINAL)),
    refusal=st.none() | st.sampled_from(FailureClass),
    answered_by=st.none() | st.sampled_from(AnsweredBy),
    ending=st.none() | st.sampled_from(Ending),
    callback_at=st.none() | nows,
    do_not_call=st.booleans(),
    no_media=st.booleans(),
    cancelled_by_us=st.integers(0, 9).map(lambda n: n == 0),
)


@st.composite
def policy(draw):
    words = st.sampled_from(sorted(RETRIED))
    most = draw(st.integers(0, 5))
    limits = draw(st.dictionaries(words, st.integers(0, most)))
    return RetryPolicy(
        max_retries=most,
        max_retries_by_outcome=limits,
        cooldown=draw(st.timedeltas(timedelta(0), timedelta(days=30))),
        cooldown_by_outcome=draw(st.dictionaries(words, st.timedeltas(timedelta(0), timedelta(days=1)))),
        backoff_factor=draw(st.just(1) | st.floats(1, 10)),
        jitter=draw(st.just(0) | st.floats(0, 1)),
        permanent_outcomes=tuple(
            sorted(draw(st.sets(words, max_size=2)) - {w for w, limit in limits.items() if limit})
        ),
    )


policies = policy()
clock_times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 30]))
windows = st.none() | st.builds(CallingWindow, start=clock_times, end=clock_times, days=st.just(("mon", "thu")))
zones = st.lists(st.sampled_from(["Asia/Kolkata", "America/New_York", "Australia/Lord_Howe"]).map(ZoneInfo), max_size=3)


@given(policies, st.lists(attempts, min_size=1, max_size=40), windows, zones)
def test_a_lead_makes_at_most_one_attempt_and_its_retries(policy, facts, window, zone):
    now, made = NOON, []
    for attempt in facts:
        made.append(attempt)
        step = next_step(policy, made, now=now, window=window, zones=zone)
        if isinstance(step, Finish):
            break
        assert step.at >= now
        now = step.at
    assert sum(attempt.counts for attempt in made) <= 1 + policy.max_retries


@given(policies, st.lists(attempts, min_size=1, max_size=8), nows, windows, zones, st.booleans())
def test_any_facts_finish_a_lead_or_name_the_time_it_waits_for(policy, facts, now, window, zone, cancelled):
    step = next_step(policy, facts, now=now, window=window, zones=zone, cancelled=cancelled)
    match step:
        case Finish(outcome):
            assert outcome in Outcome
        case RetryAt(at) | ReturnAt(at):
            assert not cancelled
            assert at.utcoffset() is not None
            assert at >= now
            assert window is None or window.is_open(at, zone)
    assert step == next_step(policy, list(facts), now=now, window=window, zones=zone, cancelled=cancelled)


seeds = st.uuids().map(str)


@given(policies, st.lists(attempts, min_size=1, max_size=8), nows, seeds)
def test_a_lead_only_waits_as_long_as_its_policy_says(policy, facts, now, seed):
    step = next_step(policy, facts, now=now, seed=seed)
    if isinstance(step, RetryAt):
        last = facts[-1]
        made = sum(attempt.counts for attempt in facts)
        assert made <= policy.max_retries
        if last.callback_at:
            assert step.at == max(now, last.callback_at)
        else:
            longest = max([policy.cooldown, *policy.cooldown_by_outcome.values()])
            longest_s = longest.total_seconds() * policy.backoff_factor ** (made - 1) * (1 + policy.jitter)
            assert now <= step.at <= now + timedelta(days=30)
            assert (step.at - now).total_seconds() <= longest_s + 0.001
    if isinstance(step, ReturnAt):
        assert not facts[-1].counts
        assert now < step.at <= now + LONGEST_BACKOFF
        assert step.stop_campaign is (facts[-1].refusal is FailureClass.CONFIGURATION)


@given(policies, st.lists(attempts, min_size=1, max_size=8), nows)
def test_an_outcome_is_followed_by_as_many_retries_as_it_may_have(policy, facts, now):
    counted = [attempt for attempt in facts if attempt.counts]
    step = next_step(policy, facts, now=now)
    last = facts[-1]
    if isinstance(step, RetryAt) and last.callback_at is None and last.status is not None:
        ended_so = [attempt for attempt in counted if attempt.status and outcome_of([attempt]) is outcome_of([last])]
        assert len(ended_so) <= policy.retries_after(outcome_of([last]))


@given(st.lists(attempts, max_size=8), st.booleans())
def test_attempts_that_do_not_count_do_not_change_the_outcome(facts, cancelled):
    counted = [attempt for attempt in facts if attempt.counts]
    assert outcome_of(facts, cancelled=cancelled) == outcome_of(counted, cancelled=cancelled)


@given(st.lists(attempts, min_size=1, max_size=8), policies, policies, nows, nows, windows)
def test_the_outcome_does_not_depend_on_when_or_under_which_policy(facts, one, other, now, later, window):
    outcomes = {
        step.outcome
        for step in (next_step(one, facts, now=now), next_step(other, facts, now=later, window=window))
        if isinstance(step, Finish)
    }
    assert len(outcomes) <= 1


def last_counted(facts):
    return next((attempt for attempt in reversed(facts) if attempt.counts), None)


@given(policies, st.lists(attempts, min_size=1, max_size=8), nows)
def test_a_cancelled_lead_is_not_called_again(policy, facts, now):
    step = next_step(policy, facts, now=now, cancelled=True)
    assert isinstance(step, Finish)
    said = last_counted(facts)
    if said is not None and said.ending in (Ending.REACHED_END, Ending.TRANSFERRED):
        assert step.outcome == outcome_of(facts)  # cancelled too late to change what came of it
    else:
        assert step.outcome in (Outcome.CANCELLED, Outcome.DO_NOT_CALL)


@given(policies, st.lists(attempts, max_size=8), attempts, nows)
def test_a_call_that_we_cancelled_finishes_the_lead(policy, before, attempt, now):
    last = replace(attempt, cancelled_by_us=True, ending=None, do_not_call=False)
    step = next_step(policy, [*before, last], now=now)
    assert isinstance(step, Finish)
    said = last_counted([*before, last])
    if said is None or not (said.do_not_call or said.ending in (Ending.REACHED_END, Ending.TRANSFERRED)):
        assert step.outcome is Outcome.CANCELLED


@given(policies, st.lists(attempts, max_size=8), attempts, nows)
def test_who_asked_not_to_be_called_is_not(policy, before, attempt, now):
    last = replace(attempt, do_not_call=True, refusal=None, ending=Ending.REACHED_END)
    assert next_step(policy, [*before, last], now=now) == Finish(Outcome.DO_NOT_CALL)


def call(status="completed", **facts):
    return Attempt(status=CallStatus(status), **facts)


TALKED = call(ending=Ending.REACHED_END)
POLICY = RetryPolicy(
    max_retries=1, cooldown=timedelta(hours=1), cooldown_by_outcome={"BUSY": timedelta(minutes=5)}, jitter=0
)
IN_AN_HOUR = RetryAt(NOON + timedelta(hours=1))


@pytest.mark.parametrize(
    ("last", "step", "when_exhausted"),
    [
        (TALKED, Finish(Outcome.COMPLETED), Outcome.COMPLETED),
        (call(), Finish(Outcome.HUNG_UP), Outcome.HUNG_UP),
        (call(ending=Ending.CALLER_HUNG_UP), Finish(Outcome.HUNG_UP), Outcome.HUNG_UP),
        (call(ending=Ending.NO_INPUT), Finish(Outcome.NO_INPUT), Outcome.NO_INPUT),
        (call(ending=Ending.TOO_LONG), Finish(Outcome.COMPLETED), Outcome.COMPLETED),
        (call(ending=Ending.TRANSFERRED), Finish(Outcome.TRANSFERRED), Outcome.TRANSFERRED),
        (call(ending=Ending.LOST), IN_AN_HOUR, Outcome.DROPPED),
        (call(answered_by=AnsweredBy.MACHINE), IN_AN_HOUR, Outcome.VOICEMAIL),
        (call(answered_by=AnsweredBy.FAX), IN_AN_HOUR, Outcome.VOICEMAIL),
        (
            call(answered_by=AnsweredBy.MACHINE, ending=Ending.REACHED_END),
            Finish(Outcome.COMPLETED),
            Outcome.COMPLETED,
        ),
        (call("no-answer"), IN_AN_HOUR, Outcome.NO_ANSWER),
        (call("busy"), RetryAt(NOON + timedelta(minutes=5)), Outcome.BUSY),
        (call("failed"), IN_AN_HOUR, Outcome.FAILED),
        (call("canceled"), IN_AN_HOUR, Outcome.CALL_CANCELED),
        (
            call(ending=Ending.REACHED_END, callback_at=NOON + timedelta(days=2)),
            RetryAt(NOON + timedelta(days=2)),
            Outcome.CALLBACK_REQUESTED,
        ),
        (
            call(ending=Ending.REACHED_END, callback_at=NOON - timedelta(days=2)),
            RetryAt(NOON),
            Outcome.CALLBACK_REQUESTED,
        ),
        (Attempt(refusal=FailureClass.PERMANENT), Finish(Outcome.INVALID_NUMBER), Outcome.INVALID_NUMBER),
        (Attempt(refusal=FailureClass.NOT_PERMITTED), Finish(Outcome.NOT_PERMITTED), Outcome.NOT_PERMITTED),
    ],
)
def test_each_end_of_a_call_leads_where_the_table_says(last, step, when_exhausted):
    assert next_step(POLICY, [last], now=NOON) == step
    assert next_step(POLICY, [call("no-answer"), last], now=NOON) == Finish(when_exhausted)


@pytest.mark.parametrize("refusal", [FailureClass.RETRYABLE, FailureClass.CONFIGURATION, FailureClass.AMBIGUOUS])
def test_a_refusal_that_is_nobodys_fault_uses_no_attempt_and_backs_off(refusal):
    refused = Attempt(refusal=refusal)
    waits = [next_step(POLICY, [refused] * times, now=NOON).at - NOON for times in range(1, 12)]
    assert waits[0] == timedelta(seconds=5)
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_BACKOFF


def test_a_call_without_a_media_server_goes_back_unused():
    assert isinstance(next_step(POLICY, [call(no_media=True)], now=NOON), ReturnAt)


def test_a_voicemail_can_be_enough():
    once = RetryPolicy(permanent_outcomes=("VOICEMAIL",))
    assert next_step(once, [call(answered_by=AnsweredBy.MACHINE)], now=NOON) == Finish(Outcome.VOICEMAIL)


def test_a_retry_waits_for_the_leads_morning():
    window = CallingWindow(start=time(9), end=time(18))
    late = datetime(2026, 7, 21, 12, 0, tzinfo=UTC)  # 17:30 in India
    step = next_step(POLICY, [call("no-answer")], now=late, window=window, zones=(ZoneInfo("Asia/Kolkata"),))
    assert step == RetryAt(datetime(2026, 7, 22, 3, 30, tzinfo=UTC))


@pytest.mark.parametrize("cooldown", [90, 90.0, "PT1M30S", "00:01:30"])
def test_a_cooldown_is_seconds_or_iso_8601(cooldown):
    assert RetryPolicy.model_validate({"cooldown": cooldown}).cooldown == timedelta(seconds=90)
    assert '"cooldown":90.0' in RetryPolicy.model_validate({"cooldown": cooldown}).model_dump_json()


BUSY, MACHINE, SILENT = call("busy"), call(answered_by=AnsweredBy.MACHINE), call(ending=Ending.NO_INPUT)


def waits(policy, facts, seed="lead"):
    return (next_step(policy, facts, now=NOON, seed=seed).at - NOON).total_seconds()


def test_each_outcome_has_the_cooldown_that_it_is_given():
    policy = RetryPolicy(cooldown=600, cooldown_by_outcome={"BUSY": 60, "VOICEMAIL": 7200}, jitter=0)
    assert [waits(policy, [last]) for last in (BUSY, MACHINE, call("no-answer"))] == [60, 7200, 600]


def test_cooldowns_grow_by_the_factor_up_to_thirty_days():
    policy = RetryPolicy(max_retries=20, cooldown=3600, backoff_factor=10, jitter=0)
    days = [waits(policy, [BUSY] * made) / 86_400 for made in range(1, 21)]
    assert [round(wait * 24, 6) for wait in days[:3]] == [1, 10, 100]
    assert days[3:] == [30] * 17


def test_jitter_spreads_leads_evenly_over_its_share_of_the_cooldown():
    policy = RetryPolicy(cooldown=1000, jitter=0.3)
    late = sorted(waits(policy, [BUSY], seed=f"lead {n}") - 1000 for n in range(3000))
    assert 0 <= late[0] < 3
    assert 297 < late[-1] < 300
    for tenth in range(10):
        assert 230 < sum(tenth * 30 <= wait < (tenth + 1) * 30 for wait in late) < 370


def test_leads_that_end_together_are_spread_unless_the_template_says_otherwise():
    assert len({waits(RetryPolicy(), [BUSY], seed=f"lead {n}") for n in range(100)}) == 100
    assert len({waits(RetryPolicy(jitter=0), [BUSY], seed=f"lead {n}") for n in range(100)}) == 1


def test_an_attempt_that_is_decided_twice_waits_the_same_and_the_next_one_not():
    policy = RetryPolicy(cooldown=1000, jitter=1)
    assert waits(policy, [BUSY]) == waits(policy, [BUSY]) != waits(policy, [BUSY, BUSY])


def test_an_outcome_may_be_retried_less_often_than_the_others():
    policy = RetryPolicy(max_retries=3, max_retries_by_outcome={"VOICEMAIL": 1})
    assert isinstance(next_step(policy, [MACHINE], now=NOON), RetryAt)
    assert isinstance(next_step(policy, [BUSY, MACHINE], now=NOON), RetryAt)
    assert next_step(policy, [MACHINE, BUSY, MACHINE], now=NOON) == Finish(Outcome.VOICEMAIL)
    assert isinstance(next_step(policy, [BUSY, BUSY, BUSY], now=NOON), RetryAt)


def test_who_was_silent_is_called_again_only_when_the_template_says_so():
    assert next_step(RetryPolicy(), [SILENT], now=NOON) == Finish(Outcome.NO_INPUT)
    again = RetryPolicy(max_retries_by_outcome={"NO_INPUT": 1})
    assert isinstance(next_step(again, [SILENT], now=NOON), RetryAt)
    assert next_step(again, [SILENT, SILENT], now=NOON) == Finish(Outcome.NO_INPUT)


def test_a_permanent_outcome_finishes_the_lead_at_once():
    policy = RetryPolicy(permanent_outcomes=("BUSY",))
    assert next_step(policy, [BUSY], now=NOON) == Finish(Outcome.BUSY)
    assert isinstance(next_step(policy, [MACHINE], now=NOON), RetryAt)


def test_templates_of_an_earlier_version_are_read():
    old = RetryPolicy.model_validate({"cooldown_by_status": {"no-answer": 60, "busy": 5}, "retry_voicemail": False})
    assert old == RetryPolicy(cooldown_by_outcome={"NO_ANSWER": 60, "BUSY": 5}, permanent_outcomes=("VOICEMAIL",))
    assert RetryPolicy.model_validate({"cooldown_by_status": {}, "retry_voicemail": True}) == RetryPolicy()
    assert RetryPolicy.model_validate_json(old.model_dump_json()) == old


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"max_retries": 21}, "less than or equal to 20"),
        ({"cooldown": "P31D"}, "30 days"),
        ({"cooldown_by_outcome": {"COMPLETED": 5}}, "'NO_ANSWER', 'BUSY'"),
        ({"cooldown_by_outcome": {"BUSY": -5}}, "greater than or equal to 0"),
        ({"backoff_factor": 0.5}, "greater than or equal to 1"),
        ({"backoff_factor": 11}, "less than or equal to 10"),
        ({"jitter": 1.5}, "less than or equal to 1"),
        ({"permanent_outcomes": ["COMPLETED"]}, "'NO_ANSWER', 'BUSY'"),
        ({"max_retries_by_outcome": {"BUSY": 3}}, "max_retries is 2 for all together: raise it"),
        ({"max_retries_by_outcome": {"BUSY": 1}, "permanent_outcomes": ["BUSY"]}, "BUSY is one of permanent_outcomes"),
        ({"cooldown_by_status": {"completed": 1}}, "write cooldown_by_outcome"),
        ({"retry_voicemail": "no"}, "VOICEMAIL among permanent_outcomes"),
    ],
)
def test_a_policy_that_cannot_be_says_what_to_write(wrong, says):
    with pytest.raises(ValidationError, match=says):
        RetryPolicy.model_validate(wrong)
