"""A PostgreSQL of our own in a temporary folder, with its usual durability, reached by a Unix socket."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROGRAMS = ("initdb", "pg_ctl", "createdb")


class PostgresMissing(RuntimeError):
    """The server's programs are not installed."""


def _binaries() -> Path:
    """Debian keeps them off the path."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    folders += [Path(found).parent for found in [shutil.which("initdb")] if found]
    for folder in folders:
        if all((folder / name).exists() for name in _PROGRAMS):
            return folder
    raise PostgresMissing("PostgreSQL's server programs are needed (Debian: apt install postgresql)")


@contextmanager
def cluster() -> Iterator[str]:
    """The URL of an empty database of a server that runs inside the block. Raises PostgresMissing."""
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="breeze-pg-", dir="/tmp"))
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    if user:
        shutil.chown(folder, user)

    def run(program: str, *arguments: str) -> None:
        command = [str(binaries / program), *arguments]
        done = subprocess.run(
            command,
            user=user,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr.decode()}")

    data = str(folder / "data")
    try:
        run("initdb", "-D", data, "-A", "trust", "-U", "breeze", "--no-sync")
        options = f"-c listen_addresses='' -k {folder} -c max_connections=100"
        run("pg_ctl", "-D", data, "-w", "-o", options, "-l", str(folder / "log"), "start")
        try:
            run("createdb", "-h", str(folder), "-U", "breeze", "breeze")
            yield f"postgresql+asyncpg://breeze@/breeze?host={folder}"
        finally:
            run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
