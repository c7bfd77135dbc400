"""`breeze template call`: one command, one simulated phone, what was heard, and where the recording is."""

import asyncio
import json
import sys
import wave
from pathlib import Path

from breeze_buddy.cli.template_examples import example_files


async def test_a_template_is_called_and_its_conversation_printed(tmp_path: Path) -> None:
    (file := tmp_path / "t.yaml").write_text(example_files()["order-confirmation"].read_text("utf-8"))
    arguments = ["--variable", "name=Ada", "--variable", "item=a lamp", "--say", "Yes, that is right.", "--json"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "breeze_buddy.cli", "template", "call", str(file), *arguments),
        *("--data", str(tmp_path / "call")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 150)
    assert process.returncode == 0, err.decode()
    told = json.loads(out)
    assert (told["outcome"], told["conversation"]["result"]) == ("COMPLETED", "confirmed")
    said = [(one["speaker"], one["text"]) for one in told["transcript"]]
    assert said[0] == ("agent", "Hello Ada, this is Breeze. You ordered a lamp. Is that correct?")
    assert said[1][0] == "caller"
    assert "right" in said[1][1].lower()
    with wave.open(told["recording"]) as recording:
        assert recording.getnframes() / recording.getframerate() > 5
