"""The JSON Schema of templates, as editors and other programs understand it."""

from functools import cache
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from breeze_buddy.domain.template import Template


class _AsWritten(GenerateJsonSchema):
    """Durations may be written in both ways that are read."""

    schema_dialect = "https://json-schema.org/draft/2020-12/schema"

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        return {"anyOf": [{"type": "number"}, {"type": "string", "format": "duration"}]}


@cache
def _made() -> dict[str, Any]:
    return {"$schema": _AsWritten.schema_dialect} | Template.model_json_schema(schema_generator=_AsWritten)


def template_schema() -> dict[str, Any]:
    """What `POST /templates` takes; fields that contradict each other are told apart only by the API."""
    return dict(_made())
