"""Leads as CSV: a header line, then one lead a line. Columns that are no field of a lead are variables."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from breeze_buddy.api.csv_records import MalformedCsv, Record
from breeze_buddy.domain.lead import LeadInput
from breeze_buddy.domain.phone import read_with_region

FIELDS = ("phone", "time_zone", "priority", "request_id", "not_before", "expires_at")
_FIELDS = frozenset(FIELDS)


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


class LeadRows:
    """Rows of one file as leads; the first row is the header."""

    def __init__(self, *, columns: Mapping[str, str], default_country: str | None) -> None:
        """`columns`: which field or variable a column is, where its name does not say it; empty: it is left out.

        `default_country` is the ISO 3166 code for phones that are written without a country code.
        """
        self._columns = columns
        self._context = read_with_region(default_country)
        self._header: list[str] | None = None

    def read(self, records: list[Record]) -> Iterator[ReadRow | RefusedRow]:
        """Raises MalformedCsv for a header that does not do."""
        for line, cells in records:
            if self._header is None:
                self._header = self._named(cells)
            else:
                yield self._lead(self._header, line, cells)

    def end(self) -> None:
        """Raises MalformedCsv for a file without a header."""
        if self._header is None:
            self._header = self._named([])

    def _named(self, cells: list[str]) -> list[str]:
        missing = sorted(self._columns.keys() - set(cells))
        if missing:
            raise MalformedCsv(f"columns are mapped that the first line does not name: {', '.join(missing)}")
        if "" in cells or len(set(cells)) != len(cells):
            raise MalformedCsv("every column needs a name of its own in the first line")
        header = [self._columns.get(cell, cell).strip() for cell in cells]
        if "phone" not in header:
            raise MalformedCsv(
                f"the first line must name the columns, one of them phone (or mapped to it); it has {header}"
            )
        taken = [name for name in header if name]
        twice = sorted({name for name in taken if taken.count(name) > 1})
        if twice:
            raise MalformedCsv(f"several columns are {', '.join(twice)}: every column needs a name of its own")
        return header

    def _lead(self, header: list[str], line: int, row: list[str]) -> ReadRow | RefusedRow:
        if len(row) != len(header):
            return RefusedRow(line, "", f"it has {len(row)} columns and the first line names {len(header)}")
        variables: dict[str, str] = {}
        fields: dict[str, object] = {"variables": variables}
        for name, cell in zip(header, row, strict=True):
            if not cell or not name:
                continue
            if name in _FIELDS:
                fields[name] = cell
            else:
                variables[name] = cell
        if "phone" not in fields:
            return RefusedRow(line, "phone", "it has no phone number")
        try:
            return ReadRow(line, LeadInput.model_validate(fields, context=self._context))
        except ValidationError as error:
            return refused_row(line, error)


def refused_row(line: int, error: ValidationError) -> RefusedRow:
    """A row with the first of its mistakes."""
    first = error.errors(include_url=False, include_input=False)[0]
    return RefusedRow(line, ".".join(str(part) for part in first["loc"]), first["msg"].removeprefix("Value error, "))
