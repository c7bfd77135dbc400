"""Leads as CSV: a header line, then one lead a line. Columns that are no field of a lead are variables."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from breeze_buddy.domain.errors import DomainError
from breeze_buddy.domain.lead import LeadInput

FIELDS = ("phone", "time_zone", "priority", "request_id")


class MalformedCsv(DomainError):
    """A file of which no row can be read."""

    code = "malformed_csv"


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that is no lead: its line in the file (the header is line 1), the column and the reason."""

    line: int
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReadRow:
    line: int
    lead: LeadInput


def read_leads(data: bytes, *, max_rows: int) -> Iterator[ReadRow | RefusedRow]:
    """Each row as a lead or a refusal. Raises MalformedCsv for the file as a whole."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedCsv(f"the file is not UTF-8 (byte {error.start}): save it as CSV UTF-8") from error
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = _header(next(rows, []))
        count, line = 0, rows.line_num + 1
        for row in rows:
            if any(cell.strip() for cell in row):
                count += 1
                if count > max_rows:
                    raise MalformedCsv(f"the file has more than {max_rows} rows: split it")
                yield _lead(header, row, line)
            line = rows.line_num + 1
    except csv.Error as error:
        raise MalformedCsv(f"line {rows.line_num}: {error}") from error


def _header(cells: list[str]) -> list[str]:
    header = [cell.strip() for cell in cells]
    if "phone" not in header:
        raise MalformedCsv(f"the first line must name the columns, one of them phone; it has {header}")
    if "" in header or len(set(header)) != len(header):
        raise MalformedCsv("every column needs a name of its own in the first line")
    return header


def _lead(header: list[str], row: list[str], line: int) -> ReadRow | RefusedRow:
    if len(row) != len(header):
        return RefusedRow(line, "", f"it has {len(row)} columns and the first line names {len(header)}")
    cells = dict(zip(header, (cell.strip() for cell in row), strict=True))
    fields: dict[str, object] = {name: cells[name] for name in FIELDS if cells.get(name)}
    fields["variables"] = {name: value for name, value in cells.items() if name not in FIELDS and value}
    if "phone" not in fields:
        return RefusedRow(line, "phone", "it has no phone number")
    try:
        return ReadRow(line, LeadInput.model_validate(fields))
    except ValidationError as error:
        first = error.errors()[0]
        return RefusedRow(
            line, ".".join(str(part) for part in first["loc"]), first["msg"].removeprefix("Value error, ")
        )
