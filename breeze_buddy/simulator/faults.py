"""Faults that the simulator commits on request, chosen by count or by seed.

A choice by probability depends on the seed, the fault and what it is about (whom, which attempt, which event), never
on the order in which things happen, so a run with the same seed has the same faults.
"""

import random
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from breeze_buddy.simulator.sids import new_sid

FaultKind = Literal[
    "callback_lost",
    "callback_late",
    "callback_repeated",
    "callback_reordered",
    "create_429",
    "create_5xx",
    "create_timeout_before",
    "create_timeout_after",
    "create_reset",
    "create_reset_after",
    "update_429",
    "update_5xx",
    "update_timeout_before",
    "update_timeout_after",
    "update_reset",
    "update_reset_after",
    "list_late",
]


class Fault(BaseModel):
    """One kind of fault and when it happens.

    ``skip`` matching occasions pass first, then it happens ``count`` times (None: always), each with
    ``probability``. ``to`` and ``event`` narrow it. Events of callbacks are initiated, ringing, answered, completed,
    recording, amd, stream, and those of a conference (conference-start, participant-leave …, or ``conference`` for
    all of them); those of creating are ``create`` and ``participant``; those of updating are ``update`` (of a call),
    ``participant`` and ``conference``. ``delay_s`` is how late a callback or a list entry comes, or how long a request
    hangs; ``status`` is the HTTP status of a 5xx; ``times`` is how often a repeated callback arrives.
    """

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind
    count: int | None = Field(None, ge=0)
    skip: int = Field(0, ge=0)
    probability: float = Field(1.0, ge=0, le=1)
    to: str | None = None
    event: str | None = None
    delay_s: float = Field(30.0, ge=0)
    status: int = Field(503, ge=500, le=599)
    times: int = Field(2, ge=2, le=10)


@dataclass
class ActiveFault:
    """A fault in force, with what it has done so far."""

    id: str
    fault: Fault
    seen: int = 0
    done: int = 0


@dataclass
class Faults:
    """All faults in force; asked at each place where one could happen."""

    seed: int
    active: dict[str, ActiveFault] = field(default_factory=dict)

    def add(self, fault: Fault) -> ActiveFault:
        """Put a fault in force."""
        entry = ActiveFault(new_sid("FT"), fault)
        self.active[entry.id] = entry
        return entry

    def clear(self, fault_id: str | None = None) -> int:
        """Lift one fault, or all; how many were lifted."""
        gone = [fault_id] if fault_id in self.active else [] if fault_id else list(self.active)
        for one in gone:
            del self.active[one]
        return len(gone)

    def strike(self, prefix: str, *, to: str, event: str, about: str, family: str = "") -> Fault | None:
        """The fault that happens now, if any: its kind starts with ``prefix``; ``about`` identifies the occasion.

        A fault may name the ``event`` or the whole ``family`` of events.
        """
        for place, entry in enumerate(self.active.values()):
            fault = entry.fault
            if not fault.kind.startswith(prefix) or (fault.to or to) != to or fault.event not in (None, event, family):
                continue
            entry.seen += 1
            if entry.seen <= fault.skip or (fault.count is not None and entry.done >= fault.count):
                continue
            chance = random.Random(f"{self.seed}/{place}/{fault.kind}/{to}/{event}/{about}").random()  # noqa: S311
            if chance >= fault.probability:
                continue
            entry.done += 1
            return fault
        return None
