"""Facts of a call: the same callbacks in any order give the same facts."""

from datetime import UTC, datetime, timedelta
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from breeze_buddy.domain.call import TERMINAL, AnsweredBy, CallFacts, CallStatus

NOON = datetime(2026, 7, 21, 12, 0, tzinfo=UTC)
times = st.none() | st.integers(0, 5).map(lambda s: NOON + timedelta(seconds=s))
small = st.none() | st.integers(0, 3)
facts = st.builds(
    CallFacts,
    status=st.none() | st.sampled_from(CallStatus),
    sequence=st.integers(-1, 4),
    sid=st.none() | st.sampled_from(["CA1", "CA2"]),
    initiated_at=times,
    ringing_at=times,
    answered_at=times,
    ended_at=times,
    duration_s=small,
    sip_code=small,
    answered_by=st.none() | st.sampled_from(AnsweredBy),
    error_code=small,
)


@given(facts, facts)
def test_merging_is_commutative(a, b):
    assert a.merge(b) == b.merge(a)


@given(facts, facts, facts)
def test_merging_is_associative(a, b, c):
    assert a.merge(b).merge(c) == a.merge(b.merge(c))


@given(facts, facts)
def test_merging_again_changes_nothing(a, b):
    assert a.merge(a) == a
    assert a.merge(b).merge(b) == a.merge(b)


@given(st.lists(facts, min_size=1, max_size=6).flatmap(lambda kept: st.tuples(st.just(kept), st.permutations(kept))))
def test_callbacks_in_any_order_and_repeated_give_the_same_facts(orders):
    sent, arrived = orders
    assert reduce(CallFacts.merge, sent) == reduce(CallFacts.merge, [*arrived, *sent])


@given(facts, facts)
def test_nothing_known_is_forgotten(a, b):
    merged = a.merge(b)
    for name in CallFacts.__dataclass_fields__:
        if name != "sequence" and (getattr(a, name) is not None or getattr(b, name) is not None):
            assert getattr(merged, name) in (getattr(a, name), getattr(b, name))
            assert getattr(merged, name) is not None


@given(st.sampled_from(sorted(TERMINAL)), st.sampled_from(sorted(set(CallStatus) - TERMINAL)), st.integers(-1, 9))
def test_a_call_that_has_ended_does_not_ring_again(end, earlier, sequence):
    ended = CallFacts(status=end, sequence=-1)
    assert ended.merge(CallFacts(status=earlier, sequence=sequence)).status is end


def test_facts_without_a_status_leave_the_status_alone():
    ringing = CallFacts(status=CallStatus.RINGING, sequence=1)
    assert ringing.merge(CallFacts(sequence=7, sip_code=180)).status is CallStatus.RINGING


def test_of_two_endings_the_later_callback_counts():
    first, second = CallFacts(CallStatus.COMPLETED, sequence=2), CallFacts(CallStatus.FAILED, sequence=3)
    assert first.merge(second).status is CallStatus.FAILED


@given(facts, facts)
def test_the_changes_lead_from_the_old_facts_to_the_new(a, b):
    merged = a.merge(b)
    changed = merged.changes(a)
    assert all(getattr(a, name) != value for name, value in changed.items())
    old = {name: getattr(a, name) for name in CallFacts.__dataclass_fields__}
    assert CallFacts(**{**old, **changed}) == merged
