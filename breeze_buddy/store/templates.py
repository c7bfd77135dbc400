"""Templates: named, updated in place, with a version that grows."""

from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from breeze_buddy.domain.template import StoredTemplate, Template
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.errors import Conflict, NotFound
from breeze_buddy.store.schema import templates

_OF_ID = select(templates).where(templates.c.id == bindparam("template_id"))
_VERSION_OF_ID = select(templates.c.version, templates.c.updated_at).where(templates.c.id == bindparam("template_id"))

# Templates as they were read last, by id: reading one takes longer than all else that is asked for a call. Every
# change has a version and a time of its own.
_read: dict[str, StoredTemplate] = {}
_MOST_KEPT = 1000


def _stored(row: Row[Any]) -> StoredTemplate:
    return StoredTemplate(
        id=row.id,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        template=Template.model_validate(row.definition),
    )


async def create(tx: Transaction, template: Template, *, now: datetime) -> StoredTemplate:
    """Raises Conflict when the name is taken."""
    row = {
        "id": str(uuid4()),
        "name": template.name,
        "version": 1,
        "definition": template.model_dump(mode="json"),
        "created_at": now,
        "updated_at": now,
    }
    try:
        async with tx.begin_nested():
            await tx.execute(insert(templates).values(row))
    except IntegrityError as error:
        raise Conflict(f"a template named {template.name!r} exists: update it, or choose another name") from error
    return await get(tx, str(row["id"]))


async def replace(tx: Transaction, template_id: str, template: Template, *, now: datetime) -> StoredTemplate:
    """Put `template` in the place of the stored one. Raises NotFound, or Conflict when its name is another's."""
    change = update(templates).where(templates.c.id == template_id)
    try:
        async with tx.begin_nested():
            done = await tx.execute(
                change.values(
                    name=template.name,
                    definition=template.model_dump(mode="json"),
                    version=templates.c.version + 1,
                    updated_at=now,
                )
            )
    except IntegrityError as error:
        raise Conflict(f"another template is named {template.name!r}") from error
    if done.rowcount == 0:
        raise NotFound("template", template_id)
    return await get(tx, template_id)


async def register(tx: Transaction, template: Template, *, now: datetime) -> StoredTemplate:
    """The stored template of that name: created, updated when it differs, or as it is."""
    row = (await tx.execute(select(templates).where(templates.c.name == template.name))).first()
    if row is None:
        return await create(tx, template, now=now)
    if row.definition == template.model_dump(mode="json"):
        return _stored(row)
    return await replace(tx, row.id, template, now=now)


def known(template_id: str, version: int, updated_at: datetime) -> StoredTemplate | None:
    """A template as it was read before, if that was this version of it."""
    found = _read.get(template_id)
    return found if found is not None and (found.version, found.updated_at) == (version, updated_at) else None


async def get(tx: Transaction, template_id: str) -> StoredTemplate:
    """Raises NotFound."""
    if template_id in _read:
        now = (await tx.execute(_VERSION_OF_ID, {"template_id": template_id})).first()
        same = known(template_id, now.version, now.updated_at) if now is not None else None
        if same is not None:
            return same
    row = (await tx.execute(_OF_ID, {"template_id": template_id})).first()
    if row is None:
        raise NotFound("template", template_id)
    if len(_read) >= _MOST_KEPT:
        _read.clear()
    _read[template_id] = stored = _stored(row)
    return stored


async def by_name(tx: Transaction, name: str) -> StoredTemplate:
    """Raises NotFound."""
    row = (await tx.execute(select(templates).where(templates.c.name == name))).first()
    if row is None:
        raise NotFound("template", name)
    return _stored(row)


async def listed(tx: Transaction, *, name: str | None = None) -> list[StoredTemplate]:
    """All templates by name, or the one of that name."""
    query = select(templates).order_by(templates.c.name)
    if name is not None:
        query = query.where(templates.c.name == name)
    return [_stored(row) for row in await tx.execute(query)]
