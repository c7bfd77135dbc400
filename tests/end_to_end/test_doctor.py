"""`breeze doctor` on a whole stack: all green, and red with what to do where something is wrong."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from .stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def doctor(stack: Stack, *arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code of `breeze doctor` and what it printed, run as a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "breeze_buddy.cli", "doctor", *arguments),
        env=os.environ | environment,
        cwd=stack.folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 90)
    assert b"Traceback" not in err, err.decode()
    assert process.returncode is not None
    return process.returncode, out.decode()


def of_stack(stack: Stack) -> dict[str, str]:
    """The settings of the stack's processes, for a doctor who is told nothing else."""
    secrets = json.loads((stack.folder / "secrets.json").read_text())
    urls = stack.state["urls"]
    return {
        "DATABASE_URL": f"sqlite+aiosqlite:///{stack.folder}/breeze.db",
        "RECORDINGS_URL": f"file://{stack.folder}/recordings",
        "TEMPORAL_ADDRESS": urls["temporal"],
        "PUBLIC_URL": stack.api_origin,
        "STREAM_URL": urls["stream"],
        "TWILIO_API_BASE_URL": urls["simulator"],
        "TWILIO_ACCOUNT_SID": secrets["account_sid"],
        "TWILIO_AUTH_TOKEN": secrets["auth_token"],
    }


async def test_a_stack_that_runs_is_all_green(stack: Stack) -> None:
    phone = await stack.number()
    code, out = await doctor(stack, "--data", str(stack.folder), "--json")
    told = json.loads(out)
    checks: list[dict[str, Any]] = told["checks"]
    assert [check for check in checks if check["state"] == "failed"] == []
    assert (code, told["ok"]) == (0, True)
    assert {"area": "twilio", "check": phone, "state": "ok", "found": "owned, carries calls", "advice": ""} in checks
    areas = {check["area"] for check in checks if check["state"] == "ok"}
    assert areas == {"database", "twilio", "public URL", "stream URL", "temporal", "recordings"}


async def test_it_is_the_same_by_settings_and_as_a_table(stack: Stack) -> None:
    code, out = await doctor(stack, **of_stack(stack))
    assert code == 0, out
    assert "All is well." in out


async def test_what_is_wrong_is_told_with_what_to_do(stack: Stack, tmp_path: Path) -> None:
    wrong = {
        "TWILIO_AUTH_TOKEN": "wrong",
        "TEMPORAL_RETENTION_DAYS": "3000",
        "TEMPORAL_TASK_QUEUE": "nobody",
        "DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/none.db",
        "RECORDINGS_URL": "file:///dev/null/recordings",
        "STREAM_URL": f"ws{stack.api_origin.removeprefix('http')}/nothing",
    }
    code, out = await doctor(stack, "--json", **of_stack(stack) | wrong)
    told = json.loads(out)
    failed = {(check["area"], check["check"]) for check in told["checks"] if check["state"] == "failed"}
    assert (code, told["ok"]) == (1, False)
    assert failed == {
        ("twilio", "credentials"),
        ("public URL", "signed request"),
        ("stream URL", "media server"),
        ("temporal", "retention"),
        ("temporal", "workers"),
        ("database", "reachable"),
        ("recordings", "writable"),
    }
    assert all(check["advice"] for check in told["checks"] if check["state"] == "failed")
