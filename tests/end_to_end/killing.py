"""Calls whose media server is killed at a random moment, on a whole stack: each must go on to its right end.

`make kills` prints, for each call that lost its media server, the moment, what was going on, and the gap: from the
kill to the first sound that the caller hears of the next media server.
"""

import argparse
import asyncio
import contextlib
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from breeze_buddy.domain.conversation import ConversationState

from .pods import ExtraPod, free_ports
from .stack import Stack

POOL = "killed"
LONGEST_S = 180
"""Each kill makes a call longer, and some calls are hit by those that were meant for others."""
WAITS_FOR_BEEP = "waits for the beep"
CUT = "The stream's connection was lost"
LEFT = "Hello {name}. This is the lamp shop. Your lamp is ready. Please call us back."


@dataclass(frozen=True)
class Person:
    """Somebody who is called: about how long an undisturbed call lasts, and what has to come of it."""

    who: str
    lasts_s: float
    behaviour: dict[str, Any]
    template: dict[str, Any]
    result: str
    answers: dict[str, str] = field(default_factory=dict)
    last_words: str | None = None

    def wrong(self, lead: dict[str, Any], said: list[dict[str, Any]]) -> str:
        """What is not as it should be; nothing, when the call went on to its right end."""
        if len(lead["calls"]) != 1:
            return f"NO: called {len(lead['calls'])} times"
        talk = lead["calls"][0]["conversation"] or {}
        if (talk.get("ending"), talk.get("result")) != ("reached_end", self.result):
            return f"NO: {talk.get('ending')}, {talk.get('result')}, lead {lead['outcome']}"
        if lead["outcome"] != "COMPLETED" or not self.answers.items() <= talk["answers"].items():
            return f"NO: {lead['outcome']} with {talk['answers']}"
        if self.last_words is not None and said[-1]["text"] != self.last_words:
            return f"NO: the last words were {said[-1]['text']!r}"
        return ""


def _function(name: str, go: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "phrases": ["yes"], "go": go, **more}


# Whoever asks gets the same answer: it is right for each question, whichever is asked again.
ORDER: dict[str, Any] = {
    "start": "order",
    "nodes": {
        "order": {
            "say": "Hello {name}. This is the lamp shop. You ordered {item}. Is that correct?",
            "functions": [_function("confirm", "delivery", answers={"order": "confirmed"})],
        },
        "delivery": {
            "say": "Shall we deliver it on Friday?",
            "functions": [
                _function(
                    "deliver",
                    "read_back",
                    parameters=[
                        {"name": "wrapped", "type": "boolean", "ask": "Do you want it wrapped?"},
                        {"name": "receipt", "type": "boolean", "ask": "And do you want a receipt?"},
                    ],
                )
            ],
        },
        "read_back": {
            "say": "I noted: delivered on Friday, wrapped, {wrapped}, and with a receipt, {receipt}. Is that right?",
            "functions": [_function("right", "bye", answers={"read_back": "right"})],
        },
        "bye": {"say": "Thank you, {name}. Goodbye.", "then": {"action": "end_conversation", "result": "confirmed"}},
    },
}
_CONFIRM = _function("confirm", "bye", answers={"order": "confirmed"})
AGREED = {
    "start": "order",
    "nodes": {"order": {**ORDER["nodes"]["order"], "functions": [_CONFIRM]}, "bye": ORDER["nodes"]["bye"]},
}
CODE: dict[str, Any] = {
    "start": "code",
    "nodes": {
        "code": {
            "say": "Hello {name}. Please key in the four digits of your code.",
            "capture": {"name": "code", "kind": "digits", "length": 4, "go": "read_back"},
        },
        "read_back": {
            "say": "I noted {code}. If that is right, please key it in once more.",
            "functions": [{"name": "right", "digits": "1234", "go": "bye"}],
        },
        "bye": {"say": "Thank you, {name}. Goodbye.", "then": {"action": "end_conversation", "result": "noted"}},
    },
}

SPEAKS = Person(
    "speaks",
    24.0,
    {"script": [{"say": "Yes, that is right.", "after_s": 0.5}] * 14},
    {"flow": ORDER},
    "confirmed",
    {"order": "confirmed", "wrapped": "yes", "receipt": "yes", "read_back": "right"},
)
AGREES = Person(
    "agrees",
    9.0,
    SPEAKS.behaviour,
    {"flow": AGREED},
    "confirmed",
    {"order": "confirmed"},
)
PRESSES = Person(
    "presses keys",
    12.0,
    {"script": [{"press": "1234", "after_s": 1.0}] * 10},
    {"flow": CODE},
    "noted",
    {"code": "1234"},
)
MACHINE = Person(
    "is a voicemail",
    11.0,
    {"behaviour": "voicemail"},
    {"flow": CODE, "voicemail": {"leave_message": LEFT}},
    "message_left",
    last_words=LEFT.format(name="Ada"),
)
PEOPLE = (SPEAKS, SPEAKS, PRESSES, SPEAKS, MACHINE)


@dataclass(frozen=True)
class Hit:
    """A call that lost its media server: which kill it was, after how much of the call, on which of its streams, and
    where the conversation stood."""

    number: int
    moment_s: float
    stream_sid: str
    stood_at: str


@dataclass(frozen=True)
class Row:
    """What became of a call that lost its media server. `gap_s` is None when the agent had nothing to say, for it waits
    for the beep of a machine; or when nothing was heard any more, which is wrong."""

    number: int
    who: str
    moment_s: float
    doing: str
    gap_s: float | None
    wrong: str

    def __str__(self) -> str:
        gap = f"{self.gap_s:6.2f} s" if self.gap_s is not None else "    -   "
        end = self.wrong or "right"
        return f"{self.number:>4}  {self.moment_s:7.1f} s  {self.who:<15}  {self.doing:<36} {gap}  {end}"


HEADING = f"kill  into call  {'who':<15}  {'what was going on':<36}      gap  end"


class Killing:
    """Kills the media servers of one stack, and starts them again as Kubernetes would."""

    def __init__(self, stack: Stack, pods: list[ExtraPod], dice: random.Random) -> None:
        self._stack = stack
        self._pods = {pod.url: pod for pod in pods}
        self._dice = dice
        self._hits: dict[str, list[Hit]] = defaultdict(list)
        self._restarts: list[asyncio.Task[None]] = []
        self.kills = 0

    async def run(self, kills: int, *, at_once: int, people: Sequence[Person] = PEOPLE) -> list[Row]:
        """So many kills, each at a moment of its own in a call of its own, `at_once` calls at a time."""
        # One somewhere in each of so many equal parts of a call, in any order.
        shares = [(part + self._dice.random()) / kills for part in range(kills)]
        self._dice.shuffle(shares)
        places = asyncio.Semaphore(at_once)

        async def one(number: int, share: float) -> list[Row]:
            async with places:
                person = people[number % len(people)]
                while True:
                    rows = await self._call(person, share)
                    if rows or share < 0.01:
                        return rows or []
                    if rows is not None:
                        share *= 0.9  # it was over by then

        rows = await asyncio.gather(*(one(number, share) for number, share in enumerate(shares)))
        await asyncio.gather(*self._restarts)
        return sorted((row for some in rows for row in some), key=lambda row: row.number)

    async def _call(self, person: Person, share: float) -> list[Row] | None:
        """Call this person, and kill the media server after this share of the call; each time the call lost one. None:
        it was with the stack's own media server then, and lost none."""
        stack = self._stack
        phone = await stack.person(**person.behaviour, max_call_s=LONGEST_S)
        fields = {"turns": {"no_input_s": 8}, "retry": {"max_retries": 0}, "max_call_s": LONGEST_S, **person.template}
        campaign_id = await stack.campaign([phone], channels=1, pool=POOL, **fields)

        async def talking() -> dict[str, Any] | None:
            calls = await stack.witness(phone)
            return next((call for call in calls if _live_url(call)), None)

        call = await stack.until(talking, 30)
        answered_s = (await self._heard(call["sid"]))["answered_at_s"]
        await asyncio.sleep(max(0.0, answered_s + share * person.lasts_s - time.time()))
        live = await stack.witness(phone)
        url = _live_url(live[-1])
        if url in self._pods:
            await self._kill(self._pods[url])
        try:
            lead = (await stack.finished(campaign_id, LONGEST_S + 60))[phone]
            talked = lead["calls"][0]
            told = (
                await stack.get(f"/calls/{talked['id']}/transcript") if talked["conversation"] else {"utterances": []}
            )
            wrong = person.wrong(lead, told["utterances"])
        except TimeoutError:
            wrong = "NO: it did not end"
        rows = await self._rows(person, phone, wrong)
        return rows or (None if url is not None and url not in self._pods else [])

    async def _kill(self, pod: ExtraPod) -> None:
        """SIGKILL, and note which calls it hits."""
        self.kills += 1
        calls = (await self._stack.simulator.get("/simulator/calls", params={"status": "in-progress"})).json()
        hit = [call for call in calls if _live_url(call) == pod.url]
        stood_at = [await asyncio.to_thread(self._standing, call["sid"]) for call in hit]
        clocks_s = [await self._call_began_s(call["sid"]) for call in hit]
        at_s = time.monotonic()
        pod.process.kill()
        for call, stood, zero_s in zip(hit, stood_at, clocks_s, strict=True):
            self._hits[call["sid"]].append(Hit(self.kills, at_s - zero_s, call["streams"][-1]["sid"], stood))
        self._restarts.append(asyncio.create_task(self._start_again(pod)))

    async def _call_began_s(self, sid: str) -> float:
        """By our clock, from the caller's own, which ticks every 20 ms; rather too late, by the time that asking takes,
        so that no gap seems shorter than it is."""
        on_the_line_s = float((await self._heard(sid))["on_the_line_s"])
        return time.monotonic() - on_the_line_s

    async def _start_again(self, pod: ExtraPod) -> None:
        await pod.process.wait()
        await pod.start()

    def _standing(self, sid: str) -> str:
        """The node that was saved last."""
        with contextlib.closing(sqlite3.connect(self._stack.folder / "breeze.db", timeout=20)) as database:
            row = database.execute(
                "SELECT state FROM conversations JOIN calls ON calls.id = conversations.call_id WHERE calls.sid = ?",
                (sid,),
            ).fetchone()
        if row is None or row[0] is None:
            return "nothing saved"
        state = ConversationState.model_validate_json(row[0])
        if state.machine is not None:
            return WAITS_FOR_BEEP if state.machine == "greeting" else "leaves the message"
        return state.node if state.filling is None else f"{state.node}, {len(state.filling.found)} given"

    async def _rows(self, person: Person, phone: str, wrong: str) -> list[Row]:
        call = (await self._stack.witness(phone))[0]
        heard = await self._heard(call["sid"])
        rows = []
        for hit in self._hits[call["sid"]]:
            place = next(n for n, stream in enumerate(call["streams"]) if stream["sid"] == hit.stream_sid)
            if not str(call["streams"][place]["ended"]).startswith(CUT):
                continue  # the conversation was over in this moment
            moment_s = hit.moment_s
            after = [one["first_audio_at_s"] for one in call["streams"][place + 1 :] if one["first_audio_at_s"]]
            sounds = [start for start, end in heard["sound"] if after and end > after[0] + 0.05]
            gap_s = max(sounds[0], after[0]) - moment_s if sounds else None
            missing = "" if sounds else "NO: nothing was heard after it"
            if hit.stood_at == WAITS_FOR_BEEP:
                gap_s = None
            doing = f"{hit.stood_at}: {_doing(heard, moment_s)}"
            rows.append(Row(hit.number, person.who, moment_s, doing, gap_s, wrong or missing))
        if any(row.wrong for row in rows):
            streams = "".join(
                f"\n      {one['url']} {one['first_audio_at_s']} {one['ended']}" for one in call["streams"]
            )
            print(f"{person.who} at {phone}, whose streams were{streams}\n{call['notifications']}", flush=True)
        return rows or ([Row(0, person.who, 0.0, "not cut", None, wrong)] if wrong else [])

    async def _heard(self, sid: str) -> dict[str, Any]:
        answer = (await self._stack.simulator.get(f"/simulator/calls/{sid}/heard")).raise_for_status().json()
        assert isinstance(answer, dict)
        return answer


def _live_url(call: dict[str, Any]) -> str | None:
    """The media server that has the call now."""
    live = [stream["url"] for stream in call["streams"] if stream["ended"] is None]
    return live[-1] if live and call["status"] == "in-progress" else None


def _doing(heard: dict[str, Any], moment_s: float) -> str:
    def within(spans: list[list[float]]) -> bool:
        return any(start - 0.05 <= moment_s <= end + 0.05 for start, end in spans)

    if not any(start < moment_s for start, _ in heard["sound"]):
        return "before the first word"
    if within(heard["spoke"]):
        return "the caller speaks"
    return "the agent speaks" if within(heard["sound"]) else "silence"


def table(rows: list[Row]) -> str:
    """The rows, and how long the gaps were."""
    gaps = sorted(row.gap_s for row in rows if row.gap_s is not None)
    right = sum(not row.wrong for row in rows)
    lines = [HEADING, *map(str, rows), f"went on to their right end: {right} of {len(rows)}"]
    if gaps:
        p50, p95 = gaps[len(gaps) // 2], gaps[round(0.95 * (len(gaps) - 1))]
        lines.append(f"gap: p50 {p50:.2f} s, p95 {p95:.2f} s, worst {gaps[-1]:.2f} s")
    return "\n".join(lines)


@contextlib.asynccontextmanager
async def killing(stack: Stack, *, pods: int, seed: int) -> AsyncIterator[Killing]:
    """So many media servers beside the stack's own, which is left alone and takes calls only when no other can."""
    servers = [ExtraPod(stack, f"pod-{port}", port, POD_POOL=POOL) for port in free_ports(pods)]
    try:
        await asyncio.gather(*(server.start() for server in servers))
        yield Killing(stack, servers, random.Random(seed))
    finally:
        for server in servers:
            await server.stop()


async def main(kills: int, seed: int, at_once: int, data: Path | None) -> int:
    with contextlib.ExitStack() as left:
        folder = data or Path(left.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        stack = Stack(folder, POD_ISOLATION="true")
        began_s = time.monotonic()
        try:
            await stack.start()
            async with killing(stack, pods=at_once + 1, seed=seed) as killed:
                print(f"seed {seed}, {kills} kills, {at_once} calls at once", flush=True)
                rows = await killed.run(kills, at_once=at_once)
        finally:
            await stack.stop()
    print(table(rows))
    print(f"{killed.kills} kills in {time.monotonic() - began_s:.0f} s; load {os.getloadavg()[0]:.1f}")
    return 0 if len(rows) >= kills and not any(row.wrong for row in rows) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--at-once", type=int, default=4, help="calls at a time")
    parser.add_argument("--data", type=Path, help="keep the stack's files and logs here")
    given = parser.parse_args()
    sys.exit(asyncio.run(main(given.kills, given.seed, given.at_once, given.data)))
