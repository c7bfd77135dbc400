"""How long a file of 100,000 leads takes, on SQLite and on PostgreSQL, and what it costs.

One API process on each database, asked over a socket by a client that sends the file as it is made, so that neither
side ever has all of it. Beside it a second client reads the campaign all the time: others are to be
answered while a file is read. Memory is that of the API process, from the kernel.

    python -m bench.upload [--rows 100000] [--json FILE]
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from bench.api_process import api_process
from bench.databases import each_database
from bench.meanwhile import waits_ms
from bench.process_figures import cpu_s
from breeze_buddy.store.migrate import upgrade

_TEMPLATE = {
    "name": "order",
    "flow": {
        "start": "order",
        "nodes": {"order": {"say": "Hello {name}, about {item}.", "then": {"action": "end_conversation"}}},
    },
    "calling_window": {"start": "09:00", "end": "20:00", "time_zone": "UTC"},
}
_AREAS = (201, 212, 303, 312, 415, 512, 602, 617, 702, 808)
# Flat: what it grows by after it has read a tenth of the file.
MOST_GROWTH_MB = 30.0
MOST_SECONDS = 30.0


@dataclass(frozen=True)
class Figures:
    """One upload. Memory is resident, of the API process, in MB; `others_ms` is what others wait for an answer."""

    database: str
    rows: int
    accepted: int
    refused: int
    seconds: float
    rows_per_s: float
    cpu_s: float
    rss_before_mb: float
    rss_at_tenth_mb: float
    rss_peak_mb: float
    others_ms_p99: float
    others_ms_max: float
    again_s: float
    again_accepted: int

    @property
    def wrong(self) -> list[str]:
        """What does not do."""
        found = []
        if self.accepted + self.refused != self.rows:
            found.append(f"{self.accepted} accepted and {self.refused} refused of {self.rows}")
        if self.again_accepted:
            found.append(f"the same file again brought {self.again_accepted} leads")
        if self.seconds * 100_000 / self.rows > MOST_SECONDS:
            found.append(f"{self.seconds:.1f} s for {self.rows} rows")
        if self.rss_peak_mb - self.rss_at_tenth_mb > MOST_GROWTH_MB:
            found.append(f"memory grew from {self.rss_at_tenth_mb:.0f} to {self.rss_peak_mb:.0f} MB while it read")
        return found


def _rows(count: int) -> Iterator[str]:
    """One row in a hundred has no item, which the template needs."""
    yield "phone,name,item,request_id\n"
    for n in range(count):
        area = _AREAS[n % len(_AREAS)]
        item = "" if n % 100 == 99 else f"thing number {n}"
        yield f"+1{area}{2000000 + n // len(_AREAS)},Person {n},{item},row-{n}\n"


async def _file(rows: int) -> AsyncIterator[bytes]:
    piece: list[str] = []
    for row in _rows(rows):
        piece.append(row)
        if len(piece) == 1000:
            yield "".join(piece).encode()
            piece = []
    yield "".join(piece).encode()


def _rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def measure(name: str, url: str, rows: int) -> Figures:
    """Upload to an empty database, then the same file again."""
    await upgrade(url)
    async with api_process(url) as api, httpx.AsyncClient(timeout=600, trust_env=False) as client:
        return await _measured(name, client, api.url, api.pid, rows)


async def _measured(name: str, client: httpx.AsyncClient, api: str, pid: int, rows: int) -> Figures:
    made = await client.post(f"{api}/campaigns", json={"name": "bulk", "template": _TEMPLATE})
    campaign = made.raise_for_status().json()["campaign"]["id"]
    (await client.post(f"{api}/campaigns/{campaign}/start")).raise_for_status()
    done = asyncio.Event()
    others = asyncio.create_task(waits_ms(f"{api}/campaigns/{campaign}", done))
    watching = asyncio.create_task(_watch(client, api, campaign, pid, rows, done))
    before_mb, cpu_before_s = _rss_mb(pid), cpu_s(pid)
    seconds, said = await _upload(client, api, campaign, rows)
    used_s = cpu_s(pid) - cpu_before_s
    done.set()
    latencies_ms = sorted(await others)
    at_tenth_mb, peak_mb = await watching
    again_s, again = await _upload(client, api, campaign, rows)
    return Figures(
        database=name,
        rows=rows,
        accepted=said["accepted"],
        refused=said["refused_count"],
        seconds=seconds,
        rows_per_s=rows / seconds,
        cpu_s=used_s,
        rss_before_mb=before_mb,
        rss_at_tenth_mb=at_tenth_mb,
        rss_peak_mb=peak_mb,
        others_ms_p99=latencies_ms[int(len(latencies_ms) * 0.99)],
        others_ms_max=latencies_ms[-1],
        again_s=again_s,
        again_accepted=again["accepted"],
    )


async def _upload(client: httpx.AsyncClient, api: str, campaign: str, rows: int) -> tuple[float, dict[str, int]]:
    began_s = time.perf_counter()
    answer = await client.post(
        f"{api}/campaigns/{campaign}/leads", content=_file(rows), headers={"Content-Type": "text/csv"}
    )
    return time.perf_counter() - began_s, answer.raise_for_status().json()


async def _watch(
    client: httpx.AsyncClient, api: str, campaign: str, pid: int, rows: int, done: asyncio.Event
) -> tuple[float, float]:
    """Memory after a tenth of the rows, and the most of all."""
    at_tenth_mb = peak_mb = 0.0
    while not done.is_set():
        found = (await client.get(f"{api}/campaigns/{campaign}/uploads")).json()
        if found and not at_tenth_mb and found[0]["rows"] >= rows / 10:
            at_tenth_mb = _rss_mb(pid)
        peak_mb = max(peak_mb, _rss_mb(pid))
        await asyncio.sleep(0.1)
    return at_tenth_mb or peak_mb, max(peak_mb, _rss_mb(pid))


def _table(all_figures: list[Figures]) -> Table:
    table = Table(title=f"{all_figures[0].rows} leads in one CSV file")
    table.add_column("")
    for figures in all_figures:
        table.add_column(figures.database, justify="right")
    for name in all_figures[0].__dataclass_fields__:
        if name != "database":
            values = [getattr(figures, name) for figures in all_figures]
            table.add_row(name, *(f"{value:.1f}" if isinstance(value, float) else str(value) for value in values))
    return table


async def run(rows: int) -> list[Figures]:
    """Both databases, one after the other. Without PostgreSQL's programs, SQLite alone."""
    return [await measure(name, url, rows) for name, url in each_database()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    asked = parser.parse_args()
    found = asyncio.run(run(asked.rows))
    Console().print(_table(found))
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    if asked.json:
        asked.json.write_text(json.dumps({figures.database: asdict(figures) for figures in found}, indent=2))
    wrong = [f"{figures.database}: {what}" for figures in found for what in figures.wrong]
    for what in wrong:
        print(what, file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
