"""Values with a type and limits: the parameters of functions, and what nodes capture.

Every value is kept as text, in one form for its type, whoever gave it:

    string "12 Garden Street"   digits "4711"   integer "3"   number "2.5"   boolean "yes"/"no"
    date "2026-11-24"           time "17:30"    phone "+14155550123"         enum: one of its values
"""

import math
import re
from collections.abc import Mapping
from datetime import date, time, timedelta
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from breeze_buddy.domain.errors import DomainError
from breeze_buddy.domain.flow.patterns import Pattern, matches
from breeze_buddy.domain.flow.texts import FlowModel, words_of
from breeze_buddy.domain.phone import Region, parse_e164

ValueType = Literal["string", "digits", "integer", "number", "boolean", "date", "time", "phone", "enum"]
LONGEST_TEXT = 2000
_LARGEST = 10**15

_LIMITS: Mapping[str, frozenset[str]] = {
    "pattern": frozenset({"string", "digits"}),
    "min_length": frozenset({"string", "digits"}),
    "max_length": frozenset({"string", "digits"}),
    "length": frozenset({"digits"}),
    "minimum": frozenset({"integer", "number"}),
    "maximum": frozenset({"integer", "number"}),
    "earliest": frozenset({"time"}),
    "latest": frozenset({"time"}),
    "from_days": frozenset({"date"}),
    "to_days": frozenset({"date"}),
    "values": frozenset({"enum"}),
    "region": frozenset({"phone"}),
}


class NotAValue(DomainError):
    """What was given is not of the type, or outside its limits; the message says what is wanted."""

    code = "not_a_value"


class Typed(FlowModel):
    """The limits of a value; each goes with some types only."""

    pattern: Pattern | None = Field(None, description="string, digits: what all of it looks like")
    min_length: int | None = Field(None, ge=1, le=LONGEST_TEXT)
    max_length: int | None = Field(None, ge=1, le=LONGEST_TEXT)
    length: int | None = Field(None, ge=1, le=32, description="how many digits; None: until # or a pause")
    minimum: float | None = Field(None, ge=-_LARGEST, le=_LARGEST, description="integer, number: the least")
    maximum: float | None = Field(None, ge=-_LARGEST, le=_LARGEST, description="integer, number: the most")
    earliest: time | None = Field(None, description="time: the earliest, such as 09:00")
    latest: time | None = Field(None, description="time: the latest")
    from_days: int | None = Field(None, ge=-36_500, le=36_500, description="date: 1 is tomorrow at the earliest")
    to_days: int | None = Field(None, ge=-36_500, le=36_500, description="date: the latest, in days from today")
    values: dict[str, tuple[str, ...]] | None = Field(
        None, min_length=1, max_length=100, description="enum: each value, with the phrases that mean it besides itself"
    )
    region: Region | None = Field(None, description="phone: the country of numbers without a country code")

    @field_validator("values", mode="before", json_schema_input_type=dict[str, tuple[str, ...]] | list[str] | None)
    @classmethod
    def _values_alone(cls, values: Any) -> Any:
        return dict.fromkeys(values, ()) if isinstance(values, list | tuple) else values

    @field_validator("values")
    @classmethod
    def _values_have_words(cls, values: dict[str, tuple[str, ...]] | None) -> dict[str, tuple[str, ...]] | None:
        for value, phrases in (values or {}).items():
            if not 0 < len(value) <= 100 or any(not words_of(phrase) for phrase in (value, *phrases)):
                raise ValueError(f"{value!r} must have a word in it, and so must each of its phrases")
        return values

    @property
    def value_type(self) -> ValueType:
        raise NotImplementedError

    @model_validator(mode="after")
    def _limits_go_with_the_type(self) -> Self:
        kind = self.value_type
        for limit, kinds in _LIMITS.items():
            if getattr(self, limit) is not None and kind not in kinds:
                raise ValueError(f"{limit} goes with {' and '.join(sorted(kinds))}, not with {kind}")
        if kind == "enum" and self.values is None:
            raise ValueError("an enum needs its values")
        pairs = (("minimum", "maximum"), ("min_length", "max_length"), ("earliest", "latest"), ("from_days", "to_days"))
        for low, high in pairs:
            least, most = getattr(self, low), getattr(self, high)
            if least is not None and most is not None and least > most:
                raise ValueError(f"{low} is more than {high}: nothing could be said")
        if self.length is not None and (self.min_length or self.max_length):
            raise ValueError("give either length, or min_length and max_length")
        return self


def read_value(typed: Typed, given: object, *, today: date) -> str:
    """`given`, as JSON or text, in the form in which values of that type are kept. Raises NotAValue.

    `today` is the date on the caller's own calendar.
    """
    text = str(given).strip() if not isinstance(given, bool) else ("yes" if given else "no")
    if not text or len(text) > LONGEST_TEXT:
        raise NotAValue("an answer is wanted" if not text else "the answer is too long")
    match typed.value_type:
        case "string" | "digits":
            return _read_text(typed, text)
        case "integer" | "number":
            return _read_number(typed, text)
        case "boolean":
            return _read_boolean(text)
        case "date":
            return _read_date(typed, text, today)
        case "time":
            return _read_time(typed, text)
        case "phone":
            return _read_phone(typed, text)
        case "enum":
            return _read_choice(typed, text)


def _read_text(typed: Typed, text: str) -> str:
    if typed.value_type == "digits":
        text = re.sub(r"[\s-]", "", text)
        if not re.fullmatch(r"[0-9]+", text):
            raise NotAValue("digits are wanted")
    least, most = (typed.length, typed.length) if typed.length else (typed.min_length or 1, typed.max_length)
    if len(text) < least or (most is not None and len(text) > most):
        wanted = f"{least}" if least == most else f"{least} to {most}" if most else f"at least {least}"
        raise NotAValue(f"{wanted} {'digits' if typed.value_type == 'digits' else 'characters'} are wanted")
    if typed.pattern is not None and not matches(typed.pattern, text):
        raise NotAValue(f"it must look like {typed.pattern}")
    return text


def _read_number(typed: Typed, text: str) -> str:
    wanted = "a whole number" if typed.value_type == "integer" else "a number"
    try:
        value = float(text)
    except ValueError:
        raise NotAValue(f"{wanted} is wanted") from None
    if not math.isfinite(value) or abs(value) > _LARGEST or (typed.value_type == "integer" and value != int(value)):
        raise NotAValue(f"{wanted} is wanted")
    if typed.minimum is not None and value < typed.minimum:
        raise NotAValue(f"{wanted} of at least {typed.minimum:.15g} is wanted")
    if typed.maximum is not None and value > typed.maximum:
        raise NotAValue(f"{wanted} of at most {typed.maximum:.15g} is wanted")
    return str(int(value)) if value == int(value) else f"{value:.15g}"


def _read_boolean(text: str) -> str:
    if text.lower() in {"yes", "true", "1"}:
        return "yes"
    if text.lower() in {"no", "false", "0"}:
        return "no"
    raise NotAValue("yes or no is wanted")


def _read_date(typed: Typed, text: str, today: date) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise NotAValue("a date is wanted, such as 2026-11-24") from None
    if typed.from_days is not None and day < today + timedelta(days=typed.from_days):
        raise NotAValue(f"a date not before {today + timedelta(days=typed.from_days)} is wanted")
    if typed.to_days is not None and day > today + timedelta(days=typed.to_days):
        raise NotAValue(f"a date not after {today + timedelta(days=typed.to_days)} is wanted")
    return day.isoformat()


def _read_time(typed: Typed, text: str) -> str:
    try:
        at = time.fromisoformat(text if len(text) > 4 or ":" not in text else f"0{text}").replace(
            second=0, microsecond=0, tzinfo=None
        )
    except ValueError:
        raise NotAValue("a time of day is wanted, such as 17:30") from None
    if typed.earliest is not None and at < typed.earliest:
        raise NotAValue(f"a time not before {typed.earliest:%H:%M} is wanted")
    if typed.latest is not None and at > typed.latest:
        raise NotAValue(f"a time not after {typed.latest:%H:%M} is wanted")
    return f"{at:%H:%M}"


def _read_phone(typed: Typed, text: str) -> str:
    try:
        return parse_e164(text, default_region=typed.region)
    except DomainError as error:
        raise NotAValue(f"a phone number is wanted: {error}") from error


def _read_choice(typed: Typed, text: str) -> str:
    values = typed.values or {}
    for value in values:
        if value.lower() == text.lower():
            return value
    raise NotAValue(f"one of {', '.join(values)} is wanted")


def json_schema(typed: Typed, description: str = "") -> dict[str, Any]:
    """The JSON Schema of such a value, for an engine that fills it in by meaning."""
    kind = typed.value_type
    schema: dict[str, Any] = {
        "type": {"integer": "integer", "number": "number", "boolean": "boolean"}.get(kind, "string")
    }
    given: dict[str, Any] = {
        "pattern": f"^(?:{typed.pattern})$" if typed.pattern is not None else None,
        "minLength": typed.min_length,
        "maxLength": typed.max_length,
    }
    given |= {"minimum": typed.minimum, "maximum": typed.maximum}
    schema |= {name: limit for name, limit in given.items() if limit is not None}
    notes = [description] if description else []
    match kind:
        case "digits":
            schema.setdefault("pattern", f"^[0-9]{{{typed.length}}}$" if typed.length else "^[0-9]+$")
        case "date":
            schema["format"] = "date"
            notes.append("A date as YYYY-MM-DD.")
        case "time":
            notes.append("A time of day as HH:MM, 24 hours.")
        case "phone":
            notes.append("A phone number with its country code, as +14155550123.")
        case "enum":
            schema["enum"] = list(typed.values or ())
    if notes:
        schema["description"] = " ".join(notes)
    return schema
