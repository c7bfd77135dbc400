"""A file of leads on its way into a campaign: pages of rows, each a transaction of its own.

Nothing is dialled later because of a long file: between two pages the database belongs to everybody. A file
that breaks off leaves what its pages brought; sent again, those rows are duplicates.
"""

import asyncio
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from breeze_buddy.activities.enrolment import new_lead
from breeze_buddy.domain.do_not_call import LISTED
from breeze_buddy.domain.errors import DomainError, MissingVariables
from breeze_buddy.domain.lead import LeadInput
from breeze_buddy.domain.template import Template
from breeze_buddy.store import campaigns, do_not_call, leads, templates, uploads
from breeze_buddy.store.database import Database, serialise_adding
from breeze_buddy.store.errors import StoreError
from breeze_buddy.store.leads import NewLead
from breeze_buddy.store.uploads import Refusal

PAGE_ROWS = 500
# Who watches sees a slow file go on, too.
_PAGE_S = 2.0
# How many lines of each kind are kept to be downloaded.
MAX_KEPT = 10_000
SHOWN = 100
_KNOWN_PHONE = "duplicate: the campaign has a lead with this phone"
_KNOWN_REQUEST = "duplicate: the campaign has a lead with this request_id"
_STOPPED = "the upload stopped before the end of the file: send the file again, it brings the rest"


@dataclass(slots=True)
class Counts:
    """`refused` are the first of them."""

    accepted: int = 0
    duplicates: int = 0
    refused_count: int = 0
    refused: list[Refusal] = field(default_factory=list)


class LeadUpload:
    """As a context manager it writes down how the upload ended; an exception inside makes it FAILED, and goes on."""

    def __init__(self, database: Database, campaign_id: str, *, file_name: str | None) -> None:
        self.id = ""
        self.file_name = file_name
        self.counts = Counts()
        # How many pages have been written.
        self.pages = 0
        self._database = database
        self._campaign_id = campaign_id
        self._template: Template | None = None
        self._new: list[tuple[int, NewLead]] = []
        self._refused: list[Refusal] = []
        self._duplicates_kept = 0
        self._written_at_s = time.monotonic()

    async def __aenter__(self) -> Self:
        """Raises NotFound for the campaign."""
        async with self._database.write() as tx:
            self.id = await uploads.begin(tx, self._campaign_id, file_name=self.file_name, now=self._database.now())
            campaign = await campaigns.get(tx, self._campaign_id)
            self._template = (await templates.get(tx, campaign.template_id)).template
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        async with self._database.write() as tx:
            await uploads.end(tx, self.id, error=_why(error), now=self._database.now())

    async def take(self, line: int, lead: LeadInput) -> bool:
        """One row that is a lead. True when a page was written with it. Raises Conflict for a cancelled campaign."""
        assert self._template is not None
        try:
            self._new.append((line, new_lead(self._template, lead, now=self._database.now())))
        except MissingVariables as error:
            return await self.refuse(line, "variables", str(error))
        return await self._write_if_full()

    async def refuse(self, line: int, name: str, reason: str) -> bool:
        """One row that is none."""
        self._refused.append(Refusal(line, name, reason))
        return await self._write_if_full()

    async def _write_if_full(self) -> bool:
        rows = len(self._new) + len(self._refused)
        late = self.pages > 0 and time.monotonic() - self._written_at_s > _PAGE_S
        if rows < PAGE_ROWS and not late:
            return False
        await self.write()
        return True

    async def write(self) -> None:
        """Write the rows that were taken since the last page. Raises Conflict for a cancelled campaign."""
        page, refused = self._new, self._refused
        self._new, self._refused = [], []
        duplicates: list[Refusal] = []
        ready: list[NewLead] = []
        now = self._database.now()
        async with self._database.write() as tx:
            # Of two files for one campaign, one page comes after the other: what is new to both is one's.
            await serialise_adding(tx, self._campaign_id)
            phones = [new.lead.phone for _, new in page]
            known = await uploads.known_among(
                tx,
                self._campaign_id,
                phones=phones,
                request_ids=[new.lead.request_id for _, new in page if new.lead.request_id is not None],
            )
            listed = await do_not_call.listed_among(tx, phones)
            for line, new in page:
                phone, request_id = new.lead.phone, new.lead.request_id
                if phone in known.phones:
                    duplicates.append(Refusal(line, "phone", _KNOWN_PHONE))
                elif request_id is not None and request_id in known.request_ids:
                    duplicates.append(Refusal(line, "request_id", _KNOWN_REQUEST))
                elif phone in listed:
                    refused.append(Refusal(line, "phone", LISTED))
                else:
                    ready.append(new)
                    known.phones.add(phone)
                    if request_id is not None:
                        known.request_ids.add(request_id)
            refused.sort(key=lambda refusal: refusal.line)
            refused_kept = refused[: max(MAX_KEPT - self.counts.refused_count, 0)]
            duplicates_kept = duplicates[: max(MAX_KEPT - self._duplicates_kept, 0)]
            await uploads.count(
                tx,
                self.id,
                accepted=len(ready),
                duplicates=len(duplicates),
                refused=len(refused),
                kept=[*refused_kept, *duplicates_kept],
                file_name=self.file_name,
                now=now,
            )
            # Last: it ends with the campaign's row, for which calls that are granted and ended meanwhile would wait.
            await leads.add(tx, self._campaign_id, ready, now=now)
        self._duplicates_kept += len(duplicates_kept)
        self._count(len(ready), len(duplicates), refused)
        self.pages += 1
        self._written_at_s = time.monotonic()
        await asyncio.sleep(0)

    def _count(self, accepted: int, duplicates: int, refused: list[Refusal]) -> None:
        self.counts.accepted += accepted
        self.counts.duplicates += duplicates
        self.counts.refused_count += len(refused)
        self.counts.refused += refused[: max(SHOWN - len(self.counts.refused), 0)]


def _why(error: BaseException | None) -> str | None:
    if error is None:
        return None
    return str(error) if isinstance(error, DomainError | StoreError) else _STOPPED
