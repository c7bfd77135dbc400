"""Who is at the other end: people by phone number, from a scenario file or by the last four digits of the number.

A scenario is JSON or YAML: ``{"people": [...], "faults": [...], "numbers": [...]}`` or just a list of people.
"""

import json
import zlib
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from breeze_buddy.simulator.errors import ConfigurationError
from breeze_buddy.simulator.faults import Fault

BehaviourName = Literal[
    "answers",
    "no_answer",
    "busy",
    "failed",
    "canceled",
    "voicemail",
    "hangs_up_early",
    "hangs_up_mid_sentence",
    "silent",
    "declines",
]

DEFAULT_SCRIPT = ("Yes, that is correct.", "Yes, please.", "No, that is all. Thank you.")
VOICEMAIL_GREETING = "Hello. I cannot take your call right now. Please leave a message after the tone."


class Strict(BaseModel):
    """A typing mistake in a scenario is an error, not a silence."""

    model_config = ConfigDict(extra="forbid")


class Voice(Strict):
    """How someone sounds: pace and pitch, 1.0 being the model's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    speed: float = Field(1.0, ge=0.5, le=2.0)
    pitch: float = Field(1.0, ge=0.6, le=1.6)


class Turn(Strict):
    """One thing a person does: exactly one of say, press, wait, hang_up.

    say, press and hang_up wait for the person's turn (the agent spoke and then was silent for ``patience_s``)
    unless ``unprompted``; ``after_s`` is a pause before doing it. ``wait`` is just a pause, in seconds.
    """

    say: str | None = None
    press: str | None = Field(None, pattern=r"^[0-9*#A-D]+$")
    wait: float | None = Field(None, ge=0)
    hang_up: bool | None = None
    after_s: float = Field(0.0, ge=0)
    unprompted: bool = False
    expect: str | list[str] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_sentence(cls, value: Any) -> Any:
        return {"say": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        done = [self.say is not None, self.press is not None, self.wait is not None, bool(self.hang_up)]
        if sum(done) != 1:
            raise ValueError("a turn does exactly one of: say, press, wait, hang_up")
        return self


class Behaviour(Strict):
    """What happens when this phone rings, for one attempt. Times are in seconds."""

    behaviour: BehaviourName = "answers"
    ring_s: float | None = Field(None, ge=0, description="ringing before it is answered, refused or given up")
    talk_s: float | None = Field(None, ge=0, description="hang up this long after answering, whatever is said")
    recorded_s: float = Field(0.0, ge=0, le=60, description="talk_s 0: silence that a recording holds all the same")
    sip_code: int | None = Field(None, ge=300, le=699, description="of a failed call")
    script: list[Turn] | None = None
    greeting: str | None = Field(None, description="said on picking up; a voicemail's announcement")
    patience_s: float = Field(0.6, ge=0.05)
    max_call_s: float = Field(120.0, gt=0)
    after_s: float | None = Field(None, ge=0, description="hangs_up_early: after answering; mid-sentence: into it")
    sentence: int = Field(1, ge=1, description="hangs_up_mid_sentence: into which of the agent's turns")
    answered_by: str | None = Field(None, description="what answering machine detection says instead of the truth")


class Person(Behaviour):
    """A phone number and who answers it.

    ``attempts[i]`` overrides fields for the i-th call; after the last of them the person's own fields hold.
    """

    phone: str = Field(pattern=r"^\+[1-9]\d{6,14}$")
    name: str = ""
    kind: str | None = Field(None, description="a label of the one who wrote the scenario")
    voice: Voice | None = None
    attempts: list[Behaviour] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _attempts_by_name(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("attempts"), list):
            attempts = [{"behaviour": a} if isinstance(a, str) else a for a in value["attempts"]]
            return {**value, "attempts": attempts}
        return value

    def behaviour_for(self, attempt: int) -> Behaviour:
        """What this person does the ``attempt``-th time (from 1) their phone is dialled."""
        own = self.model_dump(exclude={"phone", "name", "kind", "voice", "attempts"})
        if attempt <= len(self.attempts):
            own.update(self.attempts[attempt - 1].model_dump(exclude_unset=True))
        return Behaviour.model_validate(own)

    def voice_or_default(self) -> Voice:
        """Their own voice, or one that follows from the number, so that it stays the same."""
        if self.voice:
            return self.voice
        mark = zlib.crc32(self.phone.encode())
        return Voice(speed=0.96 + (mark % 13) / 100, pitch=0.93 + (mark // 13 % 10) / 100)


class OwnNumber(Strict):
    """A number of the account, and what calls to it do."""

    phone: str = Field(pattern=r"^\+[1-9]\d{6,14}$")
    voice_url: str = ""
    voice_method: Literal["GET", "POST"] = "POST"
    voice_fallback_url: str = ""
    voice_fallback_method: Literal["GET", "POST"] = "POST"
    status_callback: str = ""
    status_callback_method: Literal["GET", "POST"] = "POST"


class Scenario(Strict):
    """Everything a run is set up with."""

    people: list[Person] = Field(default_factory=list)
    faults: list[Fault] = Field(default_factory=list)
    numbers: list[str | OwnNumber] = Field(default_factory=list)


def script_of(*sentences: str) -> list[Turn]:
    """A script in which each sentence is a turn."""
    return [Turn(say=sentence) for sentence in sentences]


BY_SUFFIX: dict[str, dict[str, Any]] = {
    "0010": {"behaviour": "no_answer"},
    "0011": {"behaviour": "busy"},
    "0012": {"behaviour": "failed"},
    "0013": {"behaviour": "canceled"},
    "0014": {"behaviour": "voicemail"},
    "0015": {"behaviour": "hangs_up_early"},
    "0016": {"script": [{"press": "1"}]},
    "0017": {"behaviour": "silent"},
    "0018": {"behaviour": "hangs_up_mid_sentence"},
    "0019": {"talk_s": 0},
    "0020": {"attempts": ["no_answer"]},
    "0021": {"attempts": ["busy"]},
    "0022": {"attempts": ["failed"]},
    "0023": {"attempts": ["canceled"]},
    "0024": {"behaviour": "declines"},
    "0025": {"script": [{"press": "1"}, *DEFAULT_SCRIPT]},
    "0026": {"script": [{"press": "2"}, {"hang_up": True}]},
    "0027": {"talk_s": 10},
}
"""The last four digits of a number that no scenario knows say who answers; any other answers and talks."""


def stranger(phone: str) -> Person:
    """The person at a number that is in no scenario."""
    return Person.model_validate({"phone": phone, "name": f"someone at {phone}", **BY_SUFFIX.get(phone[-4:], {})})


class Directory:
    """Who has which phone."""

    def __init__(self, people: list[Person] | None = None) -> None:
        self._people = {person.phone: person for person in people or []}

    def at(self, phone: str) -> Person:
        """The one who answers this phone."""
        return self._people.get(phone) or stranger(phone)

    def put(self, people: list[Person]) -> None:
        """Add people, or replace those with the same phone."""
        self._people.update((person.phone, person) for person in people)

    def replace(self, people: list[Person]) -> None:
        """Forget everyone and know these."""
        self._people = {person.phone: person for person in people}

    def all(self) -> list[Person]:
        """Everyone known by name."""
        return list(self._people.values())


def load_scenario(path: Path) -> Scenario:
    """Read a scenario file (JSON or YAML). Raises ConfigurationError that names the file and the field."""
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise ConfigurationError(f"The scenario {path} cannot be read: {error.strerror}.") from error
    except (ValueError, yaml.YAMLError) as error:
        raise ConfigurationError(f"The scenario {path} is neither JSON nor YAML: {error}") from error
    try:
        return Scenario.model_validate({"people": content} if isinstance(content, list) else content or {})
    except ValidationError as error:
        raise ConfigurationError(f"The scenario {path} is not right: {error}") from error
