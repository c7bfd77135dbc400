"""Media servers (pods) and the calls they carry.

A pod registers, beats, drains and leaves. A call's lease says which pod has its stream; the load of a pod is
the number of its open leases, so a call is counted from the moment the Smart Router gives it away.

    allocate ──lease──▶ hold (the stream came) ──▶ release (reported, ended, or the pod began anew)

Allocations see each other: on PostgreSQL they take one advisory lock, on SQLite they write alone anyway. So a
pod never gets more than its capacity, and nothing else in the database waits for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, case, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from breeze_buddy.domain.pod import Pod, PodInput
from breeze_buddy.store.database import Transaction, serialise_allocation
from breeze_buddy.store.errors import NotFound
from breeze_buddy.store.schema import UtcDateTime, calls, campaigns, pod_leases, pods

SILENT_AFTER = timedelta(seconds=10)
"""A pod that has not beaten for so long gets no new stream."""
FORGOTTEN_AFTER = timedelta(hours=1)
"""A pod that has not beaten for so long is taken off the list when another one registers."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call that needs a stream. `elsewhere`: its stream broke, so rather on another pod than before."""

    call_id: str
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Allocation:
    """Where the stream of a call goes. Without `stream_url` no pod can take it now.

    `streams` counts those that were offered for this call, with this one.
    """

    call_id: str
    lead_id: str | None
    streams: int
    pod: str | None = None
    stream_url: str | None = None


@dataclass(slots=True)
class _Candidate:
    name: str
    stream_url: str
    pool: str | None
    capacity: int
    live: int
    doubted: bool

    @property
    def order(self) -> tuple[float, str]:
        return (self.live / self.capacity, self.name)


# The pod's side


async def register(tx: Transaction, pod: PodInput, *, now: datetime) -> None:
    """A pod begins, or begins anew: it has no streams, and it does not drain."""
    await deregister(tx, pod.name, now=now)
    await tx.execute(insert(pods).values(**pod.model_dump(), draining=False, registered_at=now, beat_at=now))
    await tx.execute(delete(pods).where(pods.c.beat_at < now - FORGOTTEN_AFTER))


async def deregister(tx: Transaction, name: str, *, now: datetime) -> None:
    """A pod ends: what it carried is not there any more."""
    await tx.execute(delete(pods).where(pods.c.name == name))
    await tx.execute(
        update(pod_leases).where(pod_leases.c.pod == name, pod_leases.c.released_at.is_(None)).values(released_at=now)
    )


async def beat(tx: Transaction, name: str, *, now: datetime) -> bool:
    """The pod lives. True when it has been told to drain. Raises NotFound when it is not registered (any more)."""
    draining = await tx.scalar(update(pods).where(pods.c.name == name).values(beat_at=now).returning(pods.c.draining))
    if draining is None:
        raise NotFound("pod", name)
    return bool(draining)


async def drain(tx: Transaction, name: str) -> None:
    """Give it no new streams; those it has go on. Raises NotFound."""
    done = await tx.execute(update(pods).where(pods.c.name == name).values(draining=True))
    if done.rowcount == 0:
        raise NotFound("pod", name)


async def hold(tx: Transaction, call_id: str, name: str, *, now: datetime) -> None:
    """The stream of a call has come to this pod, whoever sent it there."""
    await _lease(tx, [{"call_id": call_id, "pod": name, "leased_at": now, "released_at": None}])


_RELEASED = update(pod_leases).where(pod_leases.c.call_id == bindparam("of_call"), pod_leases.c.released_at.is_(None))


async def release(tx: Transaction, call_id: str, *, now: datetime, pod: str | None = None) -> None:
    """The call needs no pod any more; with `pod`, only if it is this one that has it."""
    done = _RELEASED if pod is None else _RELEASED.where(pod_leases.c.pod == pod)
    await tx.execute(done, {"of_call": call_id, "released_at": now})


# What can be seen


async def listed(tx: Transaction, *, now: datetime) -> list[Pod]:
    """All pods by name, with what they carry now."""
    rows = await tx.execute(select(pods, _live().label("live")).order_by(pods.c.name))
    return [_pod(row, now) for row in rows]


async def get(tx: Transaction, name: str, *, now: datetime) -> Pod:
    """Raises NotFound."""
    row = (await tx.execute(select(pods, _live().label("live")).where(pods.c.name == name))).first()
    if row is None:
        raise NotFound("pod", name)
    return _pod(row, now)


def _pod(row: Row[Any], now: datetime) -> Pod:
    ready = not row.draining and row.beat_at > now - SILENT_AFTER
    return Pod.model_validate({**row._asdict(), "ready": ready, "as_of": now})


def _live() -> Any:
    return (
        select(func.count())
        .where(pod_leases.c.pod == pods.c.name, pod_leases.c.released_at.is_(None))
        .scalar_subquery()
    )


# The router's side


async def allocate(tx: Transaction, wanted: Sequence[Wanted], *, now: datetime) -> dict[str, Allocation]:
    """Choose pods for calls: those of the campaign's pool before general ones, the least loaded first. A pod that left
    another call's stream broken is doubted until its next beat: any other comes first, also a general one.

    A call that has a pod keeps it while that pod is ready and not full of others. Calls that do not exist are
    left out of the answer.
    """
    await serialise_allocation(tx)
    before = await _count_streams(tx, [one.call_id for one in wanted])
    elsewhere = {one.call_id for one in wanted if one.elsewhere}
    await _doubt(tx, {row.pod for row in before if row.pod and row.id in elsewhere}, now)
    candidates = await _candidates(tx, now)
    by_name = {candidate.name: candidate for candidate in candidates}
    for row in before:
        if row.pod in by_name:
            by_name[row.pod].live -= 1
    found = [_choose(row, candidates, elsewhere=row.id in elsewhere) for row in before]
    chosen = [one for one in found if one.pod is not None]
    if chosen:
        await _lease(
            tx, [{"call_id": one.call_id, "pod": one.pod, "leased_at": now, "released_at": None} for one in chosen]
        )
    return {one.call_id: one for one in found}


async def _count_streams(tx: Transaction, call_ids: list[str]) -> Sequence[Row[Any]]:
    """One more stream for each call; what else has to be known of them. Nobody else changes them from here on."""
    return (await tx.execute(_STREAMS, {"call_ids": call_ids})).all()


async def _doubt(tx: Transaction, names: set[str], now: datetime) -> None:
    if names:
        await tx.execute(update(pods).where(pods.c.name.in_(names)).values(doubted_at=now))


async def _candidates(tx: Transaction, now: datetime) -> list[_Candidate]:
    """Pods that may take streams, with their loads."""
    rows = await tx.execute(_READY, {"since": now - SILENT_AFTER})
    return [_Candidate(*row) for row in rows]


def _choose(call: Row[Any], candidates: list[_Candidate], *, elsewhere: bool) -> Allocation:
    free = [candidate for candidate in candidates if candidate.live < candidate.capacity]
    best: _Candidate | None = None
    if not elsewhere:
        best = next((candidate for candidate in free if candidate.name == call.pod), None)
    if best is None:
        mine = [candidate for candidate in free if candidate.pool in (call.pool, None)]
        best = min(
            mine,
            key=lambda pod: (pod.doubted, elsewhere and pod.name == call.pod, pod.pool != call.pool, pod.order),
            default=None,
        )
    if best is None:
        return Allocation(call.id, call.lead_id, call.streams)
    best.live += 1
    return Allocation(call.id, call.lead_id, call.streams, best.name, best.stream_url)


async def _lease(tx: Transaction, rows: list[dict[str, Any]]) -> None:
    await tx.execute(_LEASE[tx.dialect.name], rows)


# The router's statements, made once: Twilio waits while they run.


def _streams_statement() -> Any:
    pool = select(campaigns.c.pool).where(campaigns.c.id == calls.c.campaign_id).scalar_subquery()
    # By the primary key alone: a second condition would let PostgreSQL read all open leases instead.
    open_pod = case((pod_leases.c.released_at.is_(None), pod_leases.c.pod))
    held = select(open_pod).where(pod_leases.c.call_id == calls.c.id).scalar_subquery()
    return (
        update(calls)
        .where(calls.c.id.in_(bindparam("call_ids", expanding=True)))
        .values(streams=calls.c.streams + 1)
        .returning(calls.c.id, calls.c.lead_id, calls.c.streams, pool.label("pool"), held.label("pod"))
    )


def _lease_statement(dialect: Any) -> Any:
    statement = dialect.insert(pod_leases)
    return statement.on_conflict_do_update(
        index_elements=["call_id"],
        set_={name: statement.excluded[name] for name in ("pod", "leased_at", "released_at")},
    )


_STREAMS = _streams_statement()
_READY = select(
    pods.c.name,
    pods.c.stream_url,
    pods.c.pool,
    pods.c.capacity,
    _live().label("live"),
    case((pods.c.doubted_at >= pods.c.beat_at, True), else_=False).label("doubted"),
).where(pods.c.draining.is_(False), pods.c.beat_at > bindparam("since", type_=UtcDateTime))
_LEASE = {"postgresql": _lease_statement(postgresql), "sqlite": _lease_statement(sqlite)}
