"""What every test can ask for: free ports, and databases on SQLite and on PostgreSQL."""

import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from breeze_buddy.store.database import Database
from breeze_buddy.store.migrate import upgrade


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


class PostgresCluster:
    """A PostgreSQL of our own in a temporary folder, reached by a Unix socket; its tests get a database each."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries = binaries
        self._data = folder / "data"
        self._socket = folder
        self._databases = 0
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


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database; the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'breeze.db'}"
    cluster = request.getfixturevalue("postgres_cluster")
    assert isinstance(cluster, PostgresCluster)
    return cluster.new_database()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database at the newest schema."""
    await upgrade(database_url)
    made = Database(database_url)
    yield made
    await made.close()
