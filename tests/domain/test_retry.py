"""Retry and outcome: a lead is called often enough, never too often, and is never forgotten."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breeze_buddy.domain.call import TERMINAL, AnsweredBy, CallStatus, FailureClass
from breeze_buddy.domain.conversation import Ending
from breeze_buddy.domain.outcome import Attempt, Outcome, outcome_of
from breeze_buddy.domain.retry import LONGEST_BACKOFF, Finish, RetryAt, RetryPolicy, ReturnAt, next_step
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
policies = st.builds(
    RetryPolicy,
    max_retries=st.integers(0, 5),
    cooldown=st.timedeltas(timedelta(0), timedelta(days=30)),
    cooldown_by_status=st.dictionaries(
        st.sampled_from(["no-answer", "busy", "failed", "canceled"]), st.timedeltas(timedelta(0), timedelta(days=1))
    ),
    retry_voicemail=st.booleans(),
)
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


@given(policies, st.lists(attempts, min_size=1, max_size=8), nows)
def test_a_lead_that_counts_only_waits_as_long_as_its_policy_says(policy, facts, now):
    step = next_step(policy, facts, now=now)
    if isinstance(step, RetryAt):
        last = facts[-1]
        wanted = last.callback_at if last.callback_at else now + policy.cooldown_after(last.status)
        assert step.at == max(now, wanted)
        assert sum(attempt.counts for attempt in facts) <= policy.max_retries
    if isinstance(step, ReturnAt):
        assert not facts[-1].counts
        assert now < step.at <= now + LONGEST_BACKOFF
        assert step.stop_campaign is (facts[-1].refusal is FailureClass.CONFIGURATION)


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
POLICY = RetryPolicy(max_retries=1, cooldown=timedelta(hours=1), cooldown_by_status={"busy": timedelta(minutes=5)})
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
    once = RetryPolicy(retry_voicemail=False)
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
