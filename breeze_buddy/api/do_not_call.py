"""The do-not-call list over REST: phones that no campaign dials."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, status
from pydantic import BaseModel, Field, ValidationError

from breeze_buddy.api.context import AContext, Context
from breeze_buddy.api.csv_records import MalformedCsv, Record
from breeze_buddy.api.errors import field_problem
from breeze_buddy.api.lead_csv import RefusedRow, refused_row
from breeze_buddy.api.uploaded_file import UploadedFile
from breeze_buddy.domain.do_not_call import DoNotCallEntry, DoNotCallInput, ListingSource
from breeze_buddy.domain.phone import E164, Region, read_with_region
from breeze_buddy.store import do_not_call

router = APIRouter(prefix="/do-not-call", tags=["do-not-call"])

_PAGE_ROWS = 500
_SHOWN = 100


class DoNotCallPage(BaseModel):
    """`next` is the value of `after` for the following page; null on the last one."""

    items: list[DoNotCallEntry]
    next: str | None


class RefusedLine(BaseModel):
    """A line of a file that was not taken; the first line is 1."""

    line: int
    field: str
    reason: str


class Imported(BaseModel):
    """How many phones are on the list now that were not, how many were there, and the lines that are no phone."""

    accepted: int = 0
    duplicates: int = 0
    refused_count: int = 0
    refused: list[RefusedLine] = Field([], description=f"the first {_SHOWN} of them")


@router.get("")
async def list_all(
    context: AContext, after: str | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> DoNotCallPage:
    """Everybody who must not be called, in the order of the phones."""
    async with context.database.read() as tx:
        found = await do_not_call.listed(tx, after=after, limit=limit)
    return DoNotCallPage(items=found, next=found[-1].phone if len(found) == limit else None)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses={200: {"model": DoNotCallEntry, "description": "it was on the list: its entry stays as it is"}},
)
async def add(context: AContext, response: Response, given: DoNotCallInput) -> DoNotCallEntry:
    """Never call this phone again, for whichever campaign: leads with it are refused, those that wait end unreached.

    A call that is on goes on.
    """
    async with context.database.write() as tx:
        new = await do_not_call.add(
            tx,
            given.phone,
            source=ListingSource.API,
            reason=given.reason,
            call_id=None,
            now=context.database.now(),
        )
        entry = await do_not_call.get(tx, given.phone)
    if not new:
        response.status_code = status.HTTP_200_OK
    return entry


@router.post(
    "/import",
    openapi_extra={
        "requestBody": {
            "content": {
                "text/csv": {"schema": {"type": "string"}, "example": "phone,reason\n+14155550123,asked by mail\n"},
                "multipart/form-data": {
                    "schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
                },
            }
        }
    },
    response_model=Imported,
)
async def import_file(
    context: AContext, request: Request, default_country: Region | None = None
) -> Imported | Response:
    """Add a file of phones: CSV with the columns phone and perhaps reason, or one phone a line without a header.

    It is written while it is read; a file that cannot be read to its end has added what came before. Sent again,
    what is on the list counts as duplicates. `default_country` (as IN) is for numbers without a country code.
    """
    done = Imported()
    page: list[DoNotCallInput] = []
    rows = _Rows(default_country)
    count = 0
    try:
        async for records in UploadedFile(request).records():
            for item in rows.read(records):
                count += 1
                if count > context.settings.upload_max_rows:
                    raise MalformedCsv(f"the file has more than {context.settings.upload_max_rows} rows: split it")
                if isinstance(item, RefusedRow):
                    done.refused_count += 1
                    if done.refused_count <= _SHOWN:
                        done.refused.append(RefusedLine(line=item.line, field=item.field, reason=item.reason))
                    continue
                page.append(item)
                if len(page) == _PAGE_ROWS:
                    await _write(context, page, done)
                    page = []
        rows.end()
        await _write(context, page, done)
    except MalformedCsv as error:
        return field_problem("file", str(error), error.code)
    return done


async def _write(context: Context, page: list[DoNotCallInput], done: Imported) -> None:
    async with context.database.write() as tx:
        new = await do_not_call.add_all(tx, page, source=ListingSource.IMPORT, now=context.database.now())
    done.accepted += new
    done.duplicates += len(page) - new


class _Rows:
    """Rows of a file as entries of the list; the first one may name the columns."""

    def __init__(self, default_country: str | None) -> None:
        self._header: list[str] | None = None
        self._context = read_with_region(default_country)

    def read(self, records: list[Record]) -> Iterator[DoNotCallInput | RefusedRow]:
        """Raises MalformedCsv."""
        for line, cells in records:
            if self._header is None:
                named = [cell.lower() for cell in cells]
                if "phone" in named:
                    self._header = named
                    continue
                if len(cells) != 1 or not any(letter.isdigit() for letter in cells[0]):
                    raise MalformedCsv(
                        f"line {line}: the first line must name the columns, one of them phone, or be a phone number"
                    )
                self._header = ["phone"]
            yield self._entry(self._header, line, cells)

    def end(self) -> None:
        """Raises MalformedCsv for a file without a row."""
        if self._header is None:
            raise MalformedCsv("the file is empty")

    def _entry(self, header: list[str], line: int, cells: list[str]) -> DoNotCallInput | RefusedRow:
        if len(cells) != len(header):
            return RefusedRow(line, "", f"it has {len(cells)} columns and the first line names {len(header)}")
        named = dict(zip(header, cells, strict=True))
        if not named["phone"]:
            return RefusedRow(line, "phone", "it has no phone number")
        given = {"phone": named["phone"], "reason": named.get("reason") or None}
        try:
            return DoNotCallInput.model_validate(given, context=self._context)
        except ValidationError as error:
            return refused_row(line, error)


@router.get("/{phone}")
async def read(context: AContext, phone: E164) -> DoNotCallEntry:
    """Whether a phone is on the list, since when and why. 404 when it is not."""
    async with context.database.read() as tx:
        return await do_not_call.get(tx, phone)


@router.delete("/{phone}", status_code=status.HTTP_204_NO_CONTENT)
async def remove(context: AContext, phone: E164) -> Response:
    """The phone may be called again. 404 when it is not on the list."""
    async with context.database.write() as tx:
        await do_not_call.remove(tx, phone)
    return Response(status_code=status.HTTP_204_NO_CONTENT)
