"""The databases that a benchmark is run on, one after the other, each empty."""

import sys
import tempfile
from collections.abc import Iterator

from bench.postgres import PostgresMissing, cluster


def each_database() -> Iterator[tuple[str, str]]:
    """Name and URL. Each is there until the next one is asked for; without PostgreSQL's programs, SQLite alone."""
    with tempfile.TemporaryDirectory(prefix="breeze-bench-") as folder:
        yield "SQLite", f"sqlite+aiosqlite:///{folder}/breeze.db"
    try:
        with cluster() as url:
            yield "PostgreSQL", url
    except PostgresMissing as error:
        print(error, file=sys.stderr)
