"""Pipecat for the benchmark, in a virtual environment of its own: nothing of it is ever installed beside ours."""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

WANTED = ("pipecat-ai[silero,websocket]==1.14.0", "uvicorn[standard]")
KEPT = Path(tempfile.gettempdir()) / "breeze-bench-pipecat-1.14.0"


class RivalMissing(Exception):
    """It cannot be had here; the message says why. The rest of the benchmark goes on."""


def rival_python(folder: Path = KEPT) -> Path:
    """The interpreter that has Pipecat, installed now unless it was before. Takes a minute. Raises RivalMissing."""
    python = folder / "bin" / "python"
    if not _has_pipecat(python):
        try:
            venv.create(folder, with_pip=True, clear=True)
            subprocess.run(
                [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *WANTED],
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                timeout=900,
            )
        except subprocess.CalledProcessError as error:
            raise RivalMissing(f"Pipecat cannot be installed: {str(error.stderr).strip()[-300:]}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RivalMissing(f"Pipecat cannot be installed: {error}") from error
    return python


def _has_pipecat(python: Path) -> bool:
    if not python.exists():
        return False
    found = subprocess.run([str(python), "-c", "import pipecat, uvicorn"], capture_output=True, check=False)
    return found.returncode == 0


if __name__ == "__main__":
    try:
        print(rival_python())
    except RivalMissing as missing:
        sys.exit(str(missing))
