"""The simulator as a process: it starts, says what is wrong, stops cleanly."""

import asyncio
import json
import signal
import socket
import sys

COMMAND = (sys.executable, "-m", "breeze_buddy.simulator")


async def run(*arguments, timeout_s=20):
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), timeout_s)
    return process.returncode, out.decode(), err.decode()


async def test_sigterm_stops_it_with_exit_code_0(tmp_path):
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "--port", "0", "--data", str(tmp_path), stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(20):
        while b"listens on http://127.0.0.1:" not in await process.stderr.readline():
            assert process.returncode is None
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def test_a_taken_port_is_said_and_the_exit_code_is_not_0(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, _, err = await run("--port", port, "--data", str(tmp_path))
    assert code == 1
    assert f"cannot listen on 127.0.0.1:{port}" in err
    assert "--port" in err
    assert "Traceback" not in err


async def test_a_wrong_scenario_is_said_and_the_exit_code_is_not_0(tmp_path):
    scenario = tmp_path / "people.json"
    scenario.write_text('[{"phone": "12"}]')
    code, _, err = await run("--data", str(tmp_path), "--scenario", str(scenario))
    assert code == 1
    assert "people.json" in err
    assert "Traceback" not in err


async def test_people_are_printed_as_a_scenario():
    code, out, _ = await run("people", "--count", "3", "--seed", "7", "--kind", "busy")
    assert code == 0
    people = json.loads(out)["people"]
    assert [person["behaviour"] for person in people] == ["busy"] * 3
    assert all(person["phone"].startswith("+") for person in people)
