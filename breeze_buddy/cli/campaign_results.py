"""`breeze campaign results`: rows as they come from the API, to a file or to stdout."""

import csv
import io
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from breeze_buddy.cli.api_client import Api
from breeze_buddy.cli.printing import say
from breeze_buddy.cli.whole_file import whole_file

_IN_MEMORY_BYTES = 8 * 1024 * 1024


async def write_results(api: Api, campaign_id: str, *, rows: str, output: Path | None, as_json: bool) -> None:
    """Write one row a lead or a call (`rows`), as CSV or as JSON Lines. Raises FileError, CommandError."""
    async with api.download(f"/campaigns/{campaign_id}/results", rows=rows) as pieces:
        with _target(output) as target:
            if as_json:
                await _json_lines(pieces, target)
            else:
                async for piece in pieces:
                    target.write(piece)
            target.flush()
    if output is not None:
        say(f"{output} is written")


@contextmanager
def _target(output: Path | None) -> Iterator[BinaryIO]:
    if output is None:
        yield sys.stdout.buffer
    else:
        with whole_file(output) as file:
            yield file


async def _json_lines(pieces: AsyncIterator[bytes], target: BinaryIO) -> None:
    """A field may hold line ends, so the whole is laid down before it is read."""
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as kept:
        async for piece in pieces:
            kept.write(piece)
        kept.seek(0)
        text = io.TextIOWrapper(kept, "utf-8-sig", newline="")
        for row in csv.DictReader(text):
            target.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
