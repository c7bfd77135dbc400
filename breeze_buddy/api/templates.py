"""Templates over REST."""

from typing import Any

from fastapi import APIRouter, status

from breeze_buddy.api.context import AContext
from breeze_buddy.domain.inspection import Finding, check
from breeze_buddy.domain.template import StoredTemplate, Template
from breeze_buddy.domain.template_schema import template_schema
from breeze_buddy.provider_settings import check_providers
from breeze_buddy.store import templates

router = APIRouter(prefix="/templates", tags=["templates"])


class RegisteredTemplate(StoredTemplate):
    """A template as it was stored, with what is allowed in it and hardly meant."""

    warnings: tuple[Finding, ...]


@router.post("", status_code=status.HTTP_201_CREATED)
async def create(context: AContext, template: Template) -> RegisteredTemplate:
    """Register a template. 409 when the name is taken; 422 when its flow goes in a circle or says what nothing has
    answered, or when it needs a provider that is not configured here."""
    warnings = check(template)
    check_providers(context.settings, template)
    async with context.database.write() as tx:
        stored = await templates.create(tx, template, now=context.database.now())
    return RegisteredTemplate(**dict(stored), warnings=warnings)


@router.get("/schema")
async def schema() -> dict[str, Any]:
    """The JSON Schema of a template, for editors and programs that write one."""
    return template_schema()


@router.get("")
async def list_all(context: AContext, name: str | None = None) -> list[StoredTemplate]:
    """All templates, or the one of that name."""
    async with context.database.read() as tx:
        return await templates.listed(tx, name=name)


@router.get("/{template_id}")
async def read(context: AContext, template_id: str) -> StoredTemplate:
    """One template."""
    async with context.database.read() as tx:
        return await templates.get(tx, template_id)


@router.put("/{template_id}")
async def replace(context: AContext, template_id: str, template: Template) -> RegisteredTemplate:
    """Put a new text in the place of the old one; calls placed from now on use it."""
    warnings = check(template)
    check_providers(context.settings, template)
    async with context.database.write() as tx:
        stored = await templates.replace(tx, template_id, template, now=context.database.now())
    return RegisteredTemplate(**dict(stored), warnings=warnings)
