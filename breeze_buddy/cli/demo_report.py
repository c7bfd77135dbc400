"""What the demo saw: each lead with its person and calls, what is not as it must be, and sums."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from rich import box
from rich.table import Table

from breeze_buddy.cli.demo_expectations import EXPECTATIONS
from breeze_buddy.cli.demo_people import DemoPerson

_WIDE = 96


class ReportedCall(BaseModel):
    """One attempt that counts. `recording` is the sid of a recording that is stored, else null."""

    sid: str | None
    status: str | None
    duration_s: int | None
    recording: str | None


class ReportedLead(BaseModel):
    """`person` is the kind of person who was called; `unexpected` says what is not as it must be for that kind."""

    id: str
    phone: str
    name: str
    person: str
    status: str
    outcome: str | None
    attempts: int
    calls: list[ReportedCall]
    unexpected: list[str]


class DemoReport(BaseModel):
    """The JSON of `--report`."""

    leads: list[ReportedLead]
    totals: dict[str, Any]

    @property
    def as_expected(self) -> bool:
        return bool(self.leads) and not any(lead.unexpected for lead in self.leads)


def report_lead(lead: Mapping[str, Any], person: DemoPerson) -> ReportedLead:
    """A lead as `GET /leads/{id}` answers it, with its calls, held against what its person must lead to."""
    reported = ReportedLead(
        id=lead["id"],
        phone=lead["phone"],
        name=person.name,
        person=person.kind,
        status=lead["status"],
        outcome=lead["outcome"],
        attempts=lead["attempts"],
        calls=[_report_call(call) for call in lead["calls"] if call["counted"]],
        unexpected=[],
    )
    return reported.model_copy(update={"unexpected": EXPECTATIONS[person.kind].differences(reported)})


def _report_call(call: Mapping[str, Any]) -> ReportedCall:
    recording = call["recording"]
    return ReportedCall(
        sid=call["sid"],
        status=call["status"],
        duration_s=call["duration_s"],
        recording=recording["sid"] if recording and recording["stored"] else None,
    )


def make_report(leads: Sequence[ReportedLead], *, people: int, wall_s: float) -> DemoReport:
    calls = [call for lead in leads for call in lead.calls]
    return DemoReport(
        leads=list(leads),
        totals={
            "people": people,
            "leads": len(leads),
            "finished": sum(lead.status == "FINISHED" for lead in leads),
            "as_expected": sum(not lead.unexpected for lead in leads),
            "calls": len(calls),
            "recordings": sum(call.recording is not None for call in calls),
            "talk_s": sum(call.duration_s or 0 for call in calls),
            "by_outcome": dict(Counter(lead.outcome or "none" for lead in leads)),
            "by_call_status": dict(Counter(call.status or "none" for call in calls)),
            "wall_s": round(wall_s, 1),
        },
    )


def table_of(report: DemoReport, *, width: int) -> Table:
    """One row a lead, for a person to read; on less than 96 columns without the status of those who are FINISHED."""
    wide = width >= _WIDE
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in ("", "phone", "person", *(("status",) if wide else ()), "outcome"):
        table.add_column(heading, no_wrap=heading != "person")
    for heading in ("attempts", "duration", "recording"):
        table.add_column(heading, no_wrap=True, justify="right")
    for lead in report.leads:
        recordings = sum(call.recording is not None for call in lead.calls)
        duration_s = sum(call.duration_s or 0 for call in lead.calls)
        table.add_row(
            "[red]✗[/]" if lead.unexpected else "[green]✓[/]",
            lead.phone,
            lead.person.replace("_", " "),
            *((lead.status, lead.outcome or "") if wide else (lead.outcome or lead.status,)),
            str(lead.attempts),
            f"{duration_s} s" if duration_s else "",
            str(recordings) if recordings else "",
        )
    return table
