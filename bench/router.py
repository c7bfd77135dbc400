"""How many answered calls a second one API process gives to pods, and how long Twilio waits for it.

One `breeze api` on PostgreSQL (both real, on this machine), asked over sockets by signed requests for
`/twilio/callback/answer`, each for another call: first at a steady rate, then as fast as it answers. Every answer
must name a pod, every call must be leased once, and no pod may have more than its capacity.

    python -m bench.router [--rate 300] [--seconds 20] [--pods 10] [--clients 32]
"""

import argparse
import asyncio
import re
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import uvloop
from sqlalchemy import insert
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from bench.api_process import api_process
from bench.load import Load, Measured
from bench.postgres import cluster
from breeze_buddy.domain.campaign import Pacing
from breeze_buddy.domain.number import NumberInput
from breeze_buddy.domain.pod import PodInput
from breeze_buddy.domain.template import Template
from breeze_buddy.store import campaigns, numbers, pods, schema, templates
from breeze_buddy.store.database import Database
from breeze_buddy.store.migrate import upgrade

HOST = "127.0.0.1"
TOKEN = "the-token-of-a-benchmark"
STATIC = "ws://127.0.0.1:9/nobody"
BEAT_EVERY_S = 2.0
# Requests of a closed loop are made beforehand: more a second than will be answered.
MOST_RATE = 1500


@dataclass(frozen=True)
class Plan:
    """What is asked. `rate` is requests a second of the open loop, which lasts `seconds`; the closed one half of it.

    Before them come `warm_up_s` at the same rate, of which only the leases are counted.
    """

    rate: float = 300
    seconds: float = 20
    warm_up_s: float = 5
    pods: int = 10
    clients: int = 32


@dataclass(frozen=True)
class Report:
    """What came of it. `live` is by pod, from the database; `capacity` is of each."""

    warm_up: Measured
    open_loop: Measured
    closed_loop: Measured
    live: dict[str, int]
    capacity: int

    @property
    def runs(self) -> tuple[Measured, ...]:
        return (self.warm_up, self.open_loop, self.closed_loop)

    def wrong(self) -> list[str]:
        """What must not be, whatever the speed."""
        found = [f"a request failed: {failure}" for run in self.runs for failure in run.failures]
        named = Counter(pod for run in self.runs for pod in map(_pod_in, run.bodies))
        if named.pop("", 0):
            found.append("an answer names no pod")
        if named != Counter(self.live):
            found.append(f"answers and leases differ: {dict(named)} and {self.live}")
        found += [f"{pod} has {live} streams" for pod, live in self.live.items() if live > self.capacity]
        if max(self.live.values()) - min(self.live.values()) > 2:
            found.append(f"the pods are not evenly loaded: {self.live}")
        return found


def _pod_in(body: bytes) -> str:
    match = re.search(rb'url="ws://(pod-\d+)\.', body)
    return match[1].decode() if match else ""


async def run(plan: Plan) -> Report:
    """Raises PostgresMissing."""
    few, many = int(plan.rate * plan.warm_up_s), int(plan.rate * plan.seconds)
    most = few + many + int(MOST_RATE * plan.seconds / 2)
    with cluster() as url:
        await upgrade(url)
        database = Database(url)
        try:
            call_ids = await _calls(database, most)
            capacity = most
            beats = asyncio.create_task(_fleet(database, plan.pods, capacity))
            async with api_process(url, **_settings()) as api:
                port = api.port
                requests = [_request(port, call_id) for call_id in call_ids]
                async with Load(HOST, port) as load:
                    warm_up = await load.open_loop(requests[:few], rate=plan.rate)
                    steady = await load.open_loop(requests[few : few + many], rate=plan.rate)
                    fast = await load.closed_loop(
                        requests[few + many :], clients=plan.clients, seconds=plan.seconds / 2
                    )
            beats.cancel()
            async with database.read() as tx:
                live = {pod.name: pod.live for pod in await pods.listed(tx, now=database.now())}
            return Report(warm_up, steady, fast, live, capacity)
        finally:
            await database.close()


async def _calls(database: Database, count: int) -> list[str]:
    """Calls that were dialled, all of one campaign."""
    now = database.now()
    async with database.write() as tx:
        flow = {"nodes": {"start": {"say": "Hello.", "then": {"action": "end_conversation"}}}}
        stored = await templates.register(tx, Template.model_validate({"name": "bench", "flow": flow}), now=now)
        number = await numbers.create(tx, NumberInput(phone="+14155550000", channels=1), now=now)
        campaign = await campaigns.create(
            tx, name="bench", template_id=stored.id, number_ids=[number.id], pacing=Pacing(), now=now
        )
        leads, calls = [], []
        for place in range(count):
            phone = f"+1212{place:07d}"
            lead, call = _rows(campaign.id, number.id, phone, now)
            leads.append(lead)
            calls.append(call)
        await tx.execute(insert(schema.leads), leads)
        await tx.execute(insert(schema.calls), calls)
    return [call["id"] for call in calls]


def _rows(campaign_id: str, number_id: str, phone: str, now: datetime) -> tuple[dict[str, Any], dict[str, Any]]:
    lead_id, call_id = str(uuid4()), str(uuid4())
    lead = {
        "id": lead_id,
        "campaign_id": campaign_id,
        "phone": phone,
        "variables": {},
        "priority": 0,
        "status": "PROCESSING",
        "attempts": 0,
        "grants": 1,
        "call_id": call_id,
        "due_at": now,
        "cancel_hang_up": False,
        "created_at": now,
    }
    call = {
        "id": call_id,
        "direction": "outbound",
        "lead_id": lead_id,
        "campaign_id": campaign_id,
        "number_id": number_id,
        "attempt": 1,
        "from_phone": "+14155550000",
        "to_phone": phone,
        "progress": "dialled",
        "granted_at": now,
        "dial_at": now,
        "no_media": False,
        "cancelled_by_us": False,
        "streams": 0,
        "sequence": 0,
        "sid": f"CA{call_id.replace('-', '')}",
    }
    return lead, call


async def _fleet(database: Database, count: int, capacity: int) -> None:
    """Pods that beat, until cancelled."""
    fleet = [
        PodInput(name=f"pod-{place}", stream_url=f"ws://pod-{place}.example.com/ws", capacity=capacity)
        for place in range(count)
    ]
    async with database.write() as tx:
        for pod in fleet:
            await pods.register(tx, pod, now=database.now())
    while True:
        await asyncio.sleep(BEAT_EVERY_S)
        for pod in fleet:
            async with database.write() as tx:
                await pods.beat(tx, pod.name, now=database.now())


def _request(port: int, call_id: str) -> bytes:
    """What Twilio posts when somebody has answered."""
    path = f"/twilio/callback/answer?{urlencode({'lead_id': 'bench', 'call_id': call_id})}"
    form = {
        "AccountSid": "AC" + "0" * 32,
        "ApiVersion": "2010-04-01",
        "CallSid": f"CA{call_id.replace('-', '')}",
        "CallStatus": "in-progress",
        "Called": "+12125551000",
        "CalledCity": "NEW YORK",
        "CalledCountry": "US",
        "CalledState": "NY",
        "CalledZip": "10001",
        "Caller": "+14155550000",
        "CallerCountry": "US",
        "Direction": "outbound-api",
        "From": "+14155550000",
        "FromCountry": "US",
        "To": "+12125551000",
        "ToCountry": "US",
    }
    signature = RequestValidator(TOKEN).compute_signature(f"http://{HOST}:{port}{path}", form)
    body = urlencode(form).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nUser-Agent: TwilioProxy/1.1\r\nAccept: */*\r\n"
        f"X-Twilio-Signature: {signature}\r\nI-Twilio-Idempotency-Token: {uuid4()}\r\n"
        f"Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _settings() -> dict[str, str]:
    """What the router's API process is told besides its addresses."""
    return {
        "STREAM_URL": STATIC,
        "POD_ISOLATION": "true",
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "TWILIO_AUTH_TOKEN": TOKEN,
    }


def table(plan: Plan, report: Report) -> str:
    """The figures, as they stand in docs/benchmarks.md."""
    rows: list[tuple[str, ...]] = [("load", "allocations", "a second", "p50 ms", "p99 ms", "worst ms")]
    for name, run_ in (
        (f"open loop, {plan.rate:g}/s offered", report.open_loop),
        (f"closed loop, {plan.clients} at once", report.closed_loop),
    ):
        figures = (f"{run_.percentile_ms(p):.1f}" for p in (50, 99, 100))
        rows.append((name, str(len(run_.bodies)), f"{run_.rate:.0f}", *figures))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=Plan.rate)
    parser.add_argument("--seconds", type=float, default=Plan.seconds)
    parser.add_argument("--pods", type=int, default=Plan.pods)
    parser.add_argument("--clients", type=int, default=Plan.clients)
    plan = Plan(**vars(parser.parse_args()))
    report = uvloop.run(run(plan))
    print(table(plan, report))
    wrong = report.wrong()
    for problem in wrong[:10]:
        print("WRONG:", problem)
    within = report.open_loop.percentile_ms(99) <= 30 and report.closed_loop.rate >= 300
    print("within the target" if within else "NOT within the target", "(300 a second, p99 of 30 ms at that rate)")
    sys.exit(1 if wrong or not within else 0)


if __name__ == "__main__":
    main()
