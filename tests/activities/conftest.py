"""A folder, a bucket on an S3 server of our own, and the part of Twilio that has recordings."""

import io
import math
import struct
import wave
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from aiohttp import web
from moto.server import ThreadedMotoServer

from breeze_buddy.activities.recording_store import RecordingStore
from breeze_buddy.telephony.client import Twilio

ACCOUNT = "AC" + "5" * 32
BUCKET = "breeze"


def wav(seconds: float = 0.5) -> bytes:
    """A tone on the left, silence on the right."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        tone = (round(8000 * math.sin(n / 5)) for n in range(round(8000 * seconds)))
        file.writeframes(b"".join(struct.pack("<hh", sample, 0) for sample in tone))
    return out.getvalue()


@dataclass
class Bucket:
    """What is in the bucket, asked with Amazon's own client."""

    client: Any
    endpoint_url: str

    @property
    def names(self) -> list[str]:
        return [item["Key"] for item in self.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])]

    @property
    def unfinished(self) -> list[str]:
        return [item["Key"] for item in self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket; the credentials are in the environment, where Amazon's clients look for them."""
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "breeze"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=s3_server)
    client.create_bucket(Bucket=BUCKET)
    made = Bucket(client, s3_server)
    yield made
    for name in made.names:
        client.delete_object(Bucket=BUCKET, Key=name)
    client.delete_bucket(Bucket=BUCKET)


@dataclass
class Kept:
    """A place for recordings and how to look into it without our code."""

    url: str
    endpoint_url: str | None
    store: RecordingStore
    folder: Path | None = None
    bucket: Bucket | None = None

    @property
    def names(self) -> list[str]:
        """Everything that is there, finished or not."""
        if self.bucket is not None:
            return [*(name.removeprefix("calls/") for name in self.bucket.names), *self.bucket.unfinished]
        assert self.folder is not None
        return [str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()]


@pytest.fixture(params=["folder", "s3"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    """The test runs once with a folder and once with S3."""
    if request.param == "folder":
        folder = tmp_path / "recordings"
        return Kept(f"file://{folder}", None, RecordingStore(f"file://{folder}"), folder=folder)
    bucket: Bucket = request.getfixturevalue("bucket")
    url = f"s3://{BUCKET}/calls"
    return Kept(url, bucket.endpoint_url, RecordingStore(url, bucket.endpoint_url), bucket=bucket)


@dataclass
class TwiliosRecordings:
    """Serves and deletes recordings, on a real socket."""

    url: str = ""
    sounds: dict[str, bytes] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    refusing_deletions: int = 0
    cut_off: int = 0

    async def sound(self, request: web.Request) -> web.StreamResponse:
        data = self.sounds[request.match_info["sid"]]
        if not self.cut_off:
            return web.Response(body=data, content_type="audio/x-wav")
        self.cut_off -= 1
        response = web.StreamResponse(headers={"Content-Length": str(len(data))})
        await response.prepare(request)
        await response.write(data[: len(data) // 2])
        assert request.transport is not None
        request.transport.close()
        return response

    async def delete(self, request: web.Request) -> web.Response:
        sid = request.match_info["sid"]
        if self.refusing_deletions:
            self.refusing_deletions -= 1
            return web.json_response({"code": 20500, "message": "internal", "status": 500}, status=500)
        self.deleted.append(sid)
        if self.sounds.pop(sid, None) is None:
            return web.json_response({"code": 20404, "message": "not found", "status": 404}, status=404)
        return web.Response(status=204)


@pytest.fixture
async def twilios() -> AsyncIterator[TwiliosRecordings]:
    app = web.Application()
    end = TwiliosRecordings()
    root = f"/2010-04-01/Accounts/{ACCOUNT}/Recordings"
    app.router.add_get(root + "/{sid}.wav", end.sound)
    app.router.add_delete(root + "/{sid}.json", end.delete)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    end.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield end
    await runner.cleanup()


@pytest.fixture
async def twilio(twilios: TwiliosRecordings) -> AsyncIterator[Twilio]:
    async with Twilio(ACCOUNT, "token", twilios.url, timeout_s=5) as client:
        yield client
