"""Whom the demo calls: the simulator's made-up people, and two kinds who ask for something."""

import asyncio
import json
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

from breeze_buddy.cli.errors import DemoFailed

ITEMS = ("a blue kettle", "two red chairs", "a garden lamp", "a coffee mill", "three white plates")

# What they do besides what the generator gave them; it knows nothing of our template.
ASKING: dict[str, dict[str, Any]] = {
    "asks_for_callback": {
        "behaviour": "answers",
        "attempts": [{"script": [{"say": "Please call me back later."}]}],
    },
    "asks_not_to_be_called": {
        "behaviour": "answers",
        "script": [{"say": "Please do not call me again."}],
    },
}


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """`kind` says what the person does; `scenario` is how the simulator is told."""

    phone: str
    name: str
    kind: str
    item: str
    scenario: dict[str, Any]


async def make_people(count: int, seed: int) -> list[DemoPerson]:
    """`count` people, the same for the same seed. Raises DemoFailed when the generator does."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "breeze_buddy.simulator", "people", "--count", str(count), "--seed", str(seed)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    if process.returncode != 0:
        raise DemoFailed(f"The simulator could not make up people: {errors.decode(errors='replace').strip()}")
    made: list[dict[str, Any]] = json.loads(output)["people"]
    return [
        DemoPerson(
            phone=scenario["phone"],
            name=scenario["name"],
            kind=scenario["kind"],
            item=ITEMS[place % len(ITEMS)],
            scenario=scenario,
        )
        for place, scenario in enumerate(with_those_who_ask(made))
    ]


def with_those_who_ask(people: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """`people` with the last whose kind occurred before turned into those who ask, as far as there are such."""
    seen: Counter[str] = Counter()
    repeated = []
    for place, person in enumerate(people):
        if seen[person["kind"]]:
            repeated.append(place)
        seen[person["kind"]] += 1
    changed = list(people)
    for place, (kind, does) in zip(reversed(repeated), ASKING.items(), strict=False):
        who = {name: people[place][name] for name in ("phone", "name", "ring_s") if name in people[place]}
        changed[place] = who | {"kind": kind} | does
    return changed
