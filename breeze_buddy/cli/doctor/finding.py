"""What one check came to."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"  # there was nothing to check, or what it needs has failed


@dataclass(frozen=True, slots=True)
class Finding:
    """`area` and `check` name what was looked at, `found` says what was there, `advice` what to do."""

    area: str
    check: str
    state: State
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Area:
    """Makes findings of one area."""

    name: str

    def ok(self, check: str, found: str) -> Finding:
        return Finding(self.name, check, State.OK, found)

    def failed(self, check: str, found: str, advice: str) -> Finding:
        return Finding(self.name, check, State.FAILED, found, advice)

    def skipped(self, check: str, why: str) -> Finding:
        return Finding(self.name, check, State.SKIPPED, why)
