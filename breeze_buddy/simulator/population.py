"""People made up from a seed: all kinds, plausible numbers, nothing else."""

import random
from collections.abc import Sequence
from typing import Any

from breeze_buddy.simulator.people import Person

NAMES = (
    "Ada",
    "Ben",
    "Cleo",
    "Dev",
    "Esme",
    "Farah",
    "Gil",
    "Hana",
    "Ivo",
    "Jaya",
    "Kofi",
    "Lena",
    "Mara",
    "Niko",
    "Ola",
)

KINDS: dict[str, dict[str, Any]] = {
    "talks": {"behaviour": "answers"},
    "no_answer": {"behaviour": "no_answer", "ring_s": 3.0},
    "busy": {"behaviour": "busy"},
    "failed": {"behaviour": "failed", "sip_code": 404},
    "canceled": {"behaviour": "canceled", "ring_s": 1.0},
    "voicemail": {"behaviour": "voicemail"},
    "hangs_up_early": {"behaviour": "hangs_up_early", "after_s": 1.5},
    "hangs_up_mid_sentence": {"behaviour": "hangs_up_mid_sentence"},
    "presses_digits": {"script": [{"press": "1"}, {"press": "1"}, {"press": "1"}]},
    "silent": {"behaviour": "silent", "max_call_s": 30.0},
    "no_answer_then_talks": {"attempts": [{"behaviour": "no_answer", "ring_s": 2.0}]},
    "busy_then_talks": {"attempts": ["busy"]},
    "failed_then_talks": {"attempts": ["failed"]},
    "canceled_then_talks": {"attempts": [{"behaviour": "canceled", "ring_s": 1.0}]},
}
"""What each kind of person does, as a scenario file writes it."""


def people(count: int, seed: int, kinds: Sequence[str] | None = None) -> list[Person]:
    """``count`` people, the same for the same seed. Every kind occurs before one occurs twice; the order is mixed.

    Raises ValueError for a kind that is not in KINDS.
    """
    unknown = set(kinds or ()) - set(KINDS)
    if unknown:
        raise ValueError(f"unknown kinds {sorted(unknown)}; known are {', '.join(KINDS)}")
    chance = random.Random(seed)  # noqa: S311 (nothing is secret here)
    names = list(kinds or KINDS)
    wanted = [names[i % len(names)] for i in range(count)]
    chance.shuffle(wanted)
    phones: set[str] = set()
    return [_person(kind, _phone(chance, phones), chance) for kind in wanted]


def _person(kind: str, phone: str, chance: random.Random) -> Person:
    own = {"phone": phone, "name": chance.choice(NAMES), "kind": kind, "ring_s": round(chance.uniform(0.5, 1.5), 2)}
    return Person.model_validate(own | KINDS[kind])


def _phone(chance: random.Random, taken: set[str]) -> str:
    """A number of the United States, Great Britain or India; the last four digits stay clear of the conventions."""
    while True:
        last = f"{chance.randrange(1000, 10_000)}"
        phone = chance.choice(
            (
                f"+1{chance.choice(('212', '415', '512', '617', '303'))}{chance.randrange(200, 1000)}{last}",
                f"+447{chance.choice(('4', '7', '8', '9'))}{chance.randrange(10_000, 100_000)}{last[1:]}",
                f"+91{chance.choice('6789')}{chance.randrange(10_000, 100_000)}{last}",
            )
        )
        if phone not in taken and not phone[-4:].startswith("00"):
            taken.add(phone)
            return phone
