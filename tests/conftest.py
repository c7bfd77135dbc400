"""What every test can ask for: free ports, and databases on SQLite and on PostgreSQL."""

import asyncio
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from breeze_buddy.store.database import Database
from breeze_buddy.store.migrate import upgrade
from breeze_buddy.store.schema import metadata

pytest_plugins = ["tests.side_by_side"]


@pytest.fixture
def free_port() -> int:
    """A TCP port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        assert isinstance(port, int)
        return port


_PROGRAMS = ("initdb", "pg_ctl", "createdb")


def _postgres_binaries() -> Path | None:
    """The folder with PostgreSQL's server programs: Debian keeps them off the path."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    folders += [Path(found).parent for found in [shutil.which("initdb")] if found]
    return next((folder for folder in folders if all((folder / name).exists() for name in _PROGRAMS)), None)


def migrate(url: str) -> None:
    """Bring a database to the newest schema, whatever event loop this thread has."""
    thread = threading.Thread(target=asyncio.run, args=(upgrade(url),))
    thread.start()
    thread.join()


class PostgresCluster:
    """A PostgreSQL of our own in a temporary folder, reached by a Unix socket; its tests get a database each."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries = binaries
        self._data = folder / "data"
        self._socket = folder
        self._databases = 0
        self._migrated: str | None = None
        # PostgreSQL refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(folder, self._user)
        self._run("initdb", "-D", str(self._data), "-A", "trust", "-U", "breeze", "--no-sync")

    def start(self) -> None:
        options = f"-c listen_addresses='' -k {self._socket} -c fsync=off -c max_connections=200"
        log = str(self._socket / "log")
        self._run("pg_ctl", "-D", str(self._data), "-w", "-o", options, "-l", log, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")

    def new_database(self) -> str:
        """The URL of an empty database."""
        self._databases += 1
        name = f"test{self._databases}"
        self._run("createdb", "-h", str(self._socket), "-U", "breeze", name)
        return f"postgresql+asyncpg://breeze@/{name}?host={self._socket}"

    def migrated_database(self) -> str:
        """The URL of the one database at the newest schema. It holds what the last test left in it."""
        if self._migrated is None:
            self._migrated = self.new_database()
            migrate(self._migrated)
        return self._migrated

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._binaries / program), *arguments],
            user=self._user,
            cwd=self._socket,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[PostgresCluster]:
    binaries = _postgres_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL's server programs are not installed (Debian: apt install postgresql)")
    folder = Path(subprocess.check_output(["mktemp", "-d", "/tmp/breeze-pg-XXXXXX"], text=True).strip())
    try:
        cluster = PostgresCluster(binaries, folder)
        cluster.start()
        yield cluster
        cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file at the newest schema, to be copied."""
    file = tmp_path_factory.mktemp("schema") / "breeze.db"
    migrate(f"sqlite+aiosqlite:///{file}")
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """The test runs once on SQLite and once on PostgreSQL."""
    return str(request.param)


def _cluster(request: pytest.FixtureRequest) -> PostgresCluster:
    cluster = request.getfixturevalue("postgres_cluster")
    assert isinstance(cluster, PostgresCluster)
    return cluster


@pytest.fixture
def database_url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if kind == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'breeze.db'}"
    return _cluster(request).new_database()


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """The URL of a SQLite file at the newest schema."""
    return f"sqlite+aiosqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'breeze.db')}"


@pytest.fixture
def migrated_url(kind: str, request: pytest.FixtureRequest) -> str:
    """The URL of a database at the newest schema."""
    if kind == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    return _cluster(request).migrated_database()


async def empty(database: Database) -> None:
    """Take all rows out of a PostgreSQL database, whatever connections a test before forgot."""
    async with database.write() as tx:
        await tx.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
        names = ", ".join(table.name for table in metadata.sorted_tables)
        await tx.execute(text(f"TRUNCATE {names} RESTART IDENTITY"))


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    """An empty database at the newest schema."""
    made = Database(migrated_url)
    if not made.is_sqlite:
        await empty(made)
    yield made
    await made.close()
