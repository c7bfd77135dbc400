"""What the simulator's own record says of a transfer: who could hear whom, and how long nobody could."""

from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from .stack import Stack

Span = tuple[float, float]


def epoch_s(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


@dataclass
class Phone:
    """One call as it was lived through: its witness record, and what was heard. Times are seconds since the epoch."""

    call: dict[str, Any]
    heard: dict[str, Any]

    @property
    def sid(self) -> str:
        return str(self.call["sid"])

    @property
    def answered_s(self) -> float:
        return float(self.heard["answered_at_s"])

    def moment(self, name: str) -> float | None:
        """A time of the call: created, ringing, answered, ended …"""
        return epoch_s(self.call["times"][name]) if self.call["times"][name] else None

    def hearing(self, source: str) -> list[tuple[float, float, float]]:
        """When `source` could be heard: from, until, and for how many seconds it really sounded."""
        return [
            (self.answered_s + one["start_s"], self.answered_s + one["end_s"], one["sounding_s"])
            for one in self.heard["audible"]
            if source in one["sources"]
        ]

    def sound(self) -> list[Span]:
        """When anything sounded, to 0.1 s."""
        return [(self.answered_s + start, self.answered_s + end) for start, end in self.heard["sound"]]

    def did(self, what: str) -> list[float]:
        """When this person said, pressed, or hung up."""
        return [self.answered_s + one["at_s"] for one in self.call["said"] if one["did"] == what]

    def alone(self) -> list[Span]:
        return [(self.answered_s + one["start_s"], self.answered_s + one["end_s"]) for one in self.heard["alone"]]


@dataclass
class Story:
    """The customer's phone, and those of the team that were rung."""

    customer: Phone
    humans: list[Phone] = field(default_factory=list)

    @property
    def human(self) -> Phone | None:
        """Who talked with the customer."""
        return next((phone for phone in self.humans if self.customer.hearing(phone.sid)), None)

    def silence_before_music_s(self) -> float | None:
        """From the end of "please hold" to the music; None when there was no music."""
        music = self.customer.hearing("music")
        if not music:
            return None
        begun = [start for start, _ in self.customer.sound() if start >= music[0][0] - 0.15]
        spoken = [end for start, end in self.customer.sound() if start < music[0][0] - 0.15]
        return max(begun[0] - spoken[-1], 0.0) if begun and begun[0] > spoken[-1] else 0.0

    def accept_to_hearing_s(self) -> float | None:
        """From the human's accepting to the customer's hearing them."""
        human = self.human
        if human is None:
            return None
        accepted = human.did("press") or [end for _, end, _ in human.hearing("say")]
        return self.customer.hearing(human.sid)[0][0] - accepted[-1] if accepted else None

    def gap_s(self) -> float | None:
        """Between the last that could be heard of the AI and the first that could be heard of the human."""
        human = self.human
        if human is None:
            return None
        joined = self.customer.hearing(human.sid)[0][0]
        before = [end for _, end, _ in self.customer.hearing("agent-stream") if end <= joined + 0.05]
        return max(joined - before[-1], 0.0)

    def longest_silence_s(self) -> float:
        """Of the customer, from the first sound to the last."""
        spans = self.customer.sound()
        return max((late[0] - early[1] for early, late in pairwise(spans)), default=0.0)

    def human_alone_s(self) -> float:
        """The longest that a human waited in the conference."""
        return max((end - start for phone in self.humans for start, end in phone.alone()), default=0.0)

    def forsaken_s(self) -> float:
        """The longest that the customer was in the conference alone and nobody was being rung or briefed."""
        rung: list[Span] = []
        for phone in self.humans:
            created, ended = phone.moment("created"), phone.moment("ended")
            if created is not None:
                rung.append((created, ended if ended is not None else float("inf")))
        return max((_longest_outside(span, rung) for span in self.customer.alone()), default=0.0)

    def rang_on_s(self) -> float:
        """How long a phone of the team was still busy with us after the customer had gone."""
        gone = self.customer.moment("ended")
        ends = [ended for phone in self.humans if (ended := phone.moment("ended")) is not None]
        return max((ended - gone for ended in ends if ended > gone), default=0.0) if gone is not None else 0.0


def _longest_outside(span: Span, covers: list[Span]) -> float:
    """The longest part of `span` that none of `covers` covers."""
    longest, at_s = 0.0, span[0]
    for start, end in sorted(covers):
        longest = max(longest, min(start, span[1]) - at_s)
        at_s = max(at_s, end)
    return max(longest, span[1] - at_s)


async def phone_of(stack: Stack, call: dict[str, Any]) -> Phone:
    heard = (await stack.simulator.get(f"/simulator/calls/{call['sid']}/heard")).raise_for_status().json()
    return Phone(call, heard)


async def story_of(stack: Stack, customer: str, team: list[str]) -> Story:
    """What the record says of the latest call to `customer`."""
    [*_, call] = await stack.witness(customer)
    humans = [await phone_of(stack, leg) for phone in team for leg in await stack.witness(phone)]
    since = epoch_s(call["times"]["created"])
    mine = [phone for phone in humans if (phone.moment("created") or 0) >= since]
    return Story(await phone_of(stack, call), mine)
