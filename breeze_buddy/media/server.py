"""The media server: sockets in, sessions out; one process, one event loop, many calls.

`GET /health` answers 200 once the models are loaded, with the number of live streams; 503 before that and
while the server drains. `GET /metrics` tells Prometheus how busy it is.
"""

import asyncio
import gc
import logging
import signal
import sys
from http import HTTPStatus

import msgspec
from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from breeze_buddy.media.directory import CallDirectory
from breeze_buddy.media.engines import Engines
from breeze_buddy.media.metrics import CONTENT_TYPE, exposition
from breeze_buddy.media.registration import Registration, Served
from breeze_buddy.media.session import FAILED, REFUSED, UNSUPPORTED, SessionLimits, StreamSession
from breeze_buddy.media.ticker import Ticker
from breeze_buddy.media.twilio import MAX_MESSAGE_BYTES
from breeze_buddy.provider_settings import allowed_plugins
from breeze_buddy.settings import PREFIX, Settings

log = logging.getLogger(__name__)

STREAM_PATH = f"{PREFIX}/ws/twilio"
MOST_UNREAD_BYTES = 256 * 1024
"""Outgoing messages that a peer has not read: some fifteen seconds of audio."""
MOST_FRAGMENTS = 64
GOING_AWAY = 1001


class _Socket(WSListener):
    """One socket of picows, as the link of one session. Picows calls back on the event loop."""

    def __init__(self, server: "MediaServer") -> None:
        self._server = server
        self._transport: WSTransport | None = None
        self._session: StreamSession | None = None
        self._fragments: list[bytes] = []
        self._closed = False

    @property
    def name(self) -> str:
        return self._session.name if self._session is not None else "stream"

    # Link

    def send(self, message: bytes) -> None:
        transport = self._transport
        if transport is None or self._closed:
            return
        transport.send(WSMsgType.TEXT, message)
        self._check_unread(transport)

    def close(self, code: int, reason: str) -> None:
        if self._closed or self._transport is None:
            return
        self._closed = True
        self._transport.send_close(WSCloseCode(code), reason.encode()[:120])
        self._transport.disconnect()

    # WSListener

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._session = self._server.open_session(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        session = self._session
        if session is None or self._closed:
            return
        kind = frame.msg_type
        if kind == WSMsgType.TEXT and frame.fin and not self._fragments:
            session.receive(frame.get_payload_as_bytes())
        elif kind == WSMsgType.TEXT or kind == WSMsgType.CONTINUATION:
            self._continue(session, frame)
        elif kind == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
            self._check_unread(transport)
        elif kind == WSMsgType.BINARY:
            session.refuse(UNSUPPORTED, "a binary message")
        elif kind == WSMsgType.CLOSE:
            self._closed = True
            session.lost()
            transport.send_close(frame.get_close_code())
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        broken, self._closed = not self._closed, True
        session = self._session
        if session is None:
            return
        said = transport.close_handshake.sent if broken and transport.close_handshake is not None else None
        if said is not None:  # picows itself closed: a frame that is none, or that is too long
            session.refuse(UNSUPPORTED, f"broken_frames: {said.reason}")
        session.lost(broken=broken)

    def _check_unread(self, transport: WSTransport) -> None:
        if transport.underlying_transport.get_write_buffer_size() > MOST_UNREAD_BYTES and self._session is not None:
            self._session.refuse(FAILED, f"the peer left {MOST_UNREAD_BYTES} bytes unread")
            transport.disconnect(graceful=False)

    def _continue(self, session: StreamSession, frame: WSFrame) -> None:
        """A message in several frames, as a proxy may send it."""
        if (frame.msg_type == WSMsgType.TEXT) is bool(self._fragments):
            session.refuse(UNSUPPORTED, "broken_frames: a message begins within another, or goes on without beginning")
            return
        self._fragments.append(frame.get_payload_as_bytes())
        if sum(map(len, self._fragments)) > MAX_MESSAGE_BYTES or len(self._fragments) > MOST_FRAGMENTS:
            session.refuse(
                UNSUPPORTED, f"oversized: more than {MAX_MESSAGE_BYTES} bytes or {MOST_FRAGMENTS} frames in a message"
            )
        elif frame.fin:
            message = b"".join(self._fragments)
            self._fragments.clear()
            session.receive(message)


class MediaServer:
    """Listens on `host` and `port` (0: any free one; see `.port`). `engines` are shared by all streams.

    `capacity` is what it is built for; only with `bounded` does it turn more streams away.
    """

    def __init__(
        self,
        *,
        directory: CallDirectory,
        engines: Engines,
        host: str = "127.0.0.1",
        port: int = 0,
        limits: SessionLimits | None = None,
        capacity: int = 50,
        bounded: bool = False,
    ) -> None:
        self._capacity = capacity
        self._bounded = bounded
        self._directory = directory
        self._engines = engines
        self._host = host
        self._wanted_port = port
        self._limits = limits or SessionLimits()
        self._ticker = Ticker()
        self._server: asyncio.Server | None = None
        self._sessions: dict[asyncio.Task[None], _Socket] = {}
        self._calls: dict[str, asyncio.Task[None]] = {}
        self._reports: set[asyncio.Task[bool]] = set()
        self._draining = False

    @property
    def port(self) -> int:
        """The port that is listened on. Raises RuntimeError before `start`."""
        if self._server is None:
            raise RuntimeError("the media server has not been started")
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def streams(self) -> int:
        """Live streams."""
        return len(self._sessions)

    async def start(self) -> None:
        """Listen. Raises OSError when the address is taken."""
        self._server = await ws_create_server(
            self._upgrade,
            self._host,
            self._wanted_port,
            max_frame_size=MAX_MESSAGE_BYTES,
            websocket_handshake_timeout=5,
            enable_auto_pong=False,  # answers count towards what a peer leaves unread
            logger_name="breeze",
        )

    def refuse(self) -> None:
        """Take no new stream; those that are there go on."""
        self._draining = True

    async def stop(self, drain_s: float = 0.0) -> None:
        """Take no new stream, let calls finish for `drain_s`, then close what is left without a report: Twilio
        brings those calls back to be resumed elsewhere."""
        self.refuse()
        if self._sessions and drain_s > 0:
            log.info("draining: %d streams, at most %s s", len(self._sessions), drain_s)
            await asyncio.wait(tuple(self._sessions), timeout=drain_s)
        if self._server is not None:
            self._server.close()
        left = dict(self._sessions)
        for task, socket in left.items():
            task.cancel()
            socket.close(GOING_AWAY, "the server stops")
        if pending := (*left, *self._reports):
            await asyncio.wait(pending, timeout=max(drain_s, 5.0))
        if self._server is not None:
            await self._server.wait_closed()

    def open_session(self, link: _Socket) -> StreamSession:
        session = StreamSession(
            link=link,
            directory=self._directory,
            engines=self._engines,
            ticker=self._ticker,
            background=self._keep_report,
            limits=self._limits,
            on_claimed=self._replace,
        )
        task = asyncio.create_task(self._serve(session, link))
        self._sessions[task] = link
        task.add_done_callback(self._sessions.pop)
        return session

    async def _serve(self, session: StreamSession, link: _Socket) -> None:
        try:
            await session.run()
        except Exception:  # one call's failure is not another's
            log.exception("%s: failed; the call comes back to be resumed", session.name)
            link.close(FAILED, "internal error")
        finally:
            if session.call_id is not None and self._calls.get(session.call_id) is asyncio.current_task():
                del self._calls[session.call_id]

    def _replace(self, session: StreamSession, call_id: str) -> None:
        """The stream that comes later has the call: Twilio holds one a call, and opens another only when the one
        before is gone for it, whatever TCP knows of that. The conversation goes on there; the one before reports
        nothing."""
        task = asyncio.current_task()
        assert task is not None
        before = self._calls.get(call_id)
        self._calls[call_id] = task
        if before is not None and (link := self._sessions.get(before)) is not None:
            log.warning("%s: closed: replaced by %s of the same call", link.name, session.name)
            before.cancel()
            link.close(REFUSED, "replaced by another stream of the same call")

    def _keep_report(self, report: "asyncio.Task[bool]") -> None:
        self._reports.add(report)
        report.add_done_callback(self._reports.discard)

    def _upgrade(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener | None:
        path = request.path.partition(b"?")[0].decode("ascii", "replace")
        if path == "/health":
            return self._health()
        if path == "/metrics":
            return self._metrics()
        if path != STREAM_PATH:
            return None
        if self._draining:
            return self._busy(b"draining\n")
        if self._bounded and self.streams >= self._capacity:
            log.warning("a stream was turned away: all %d places are taken", self._capacity)
            return self._busy(b"full\n")
        return _Socket(self)

    def _busy(self, why: bytes) -> WSUpgradeResponseWithListener:
        """No stream here: Twilio goes on behind `<Connect>`, and the call comes to another pod."""
        response = WSUpgradeResponse.create_error_response(HTTPStatus.SERVICE_UNAVAILABLE, why)
        return WSUpgradeResponseWithListener(response, None)

    def _metrics(self) -> WSUpgradeResponseWithListener:
        body = exposition(streams=self.streams, capacity=self._capacity, draining=self._draining)
        return WSUpgradeResponseWithListener(
            WSUpgradeResponse.create_ok_response(body, {"Content-Type": CONTENT_TYPE}), None
        )

    def _health(self) -> WSUpgradeResponseWithListener:
        status = "draining" if self._draining else "ready"
        body = msgspec.json.encode({"status": status, "streams": self.streams})
        headers = {"Content-Type": "application/json"}
        if self._draining:
            response = WSUpgradeResponse.create_error_response(HTTPStatus.SERVICE_UNAVAILABLE, body, headers)
        else:
            response = WSUpgradeResponse.create_ok_response(body, headers)
        return WSUpgradeResponseWithListener(response, None)


def prepare_process() -> None:
    """Once the models are loaded: speech runs in threads of its own, which give the interpreter back sooner, and pauses
    of the collector are kept short by leaving out what lives as long as the process."""
    sys.setswitchinterval(0.001)
    gc.collect()
    gc.freeze()


async def serve(
    settings: Settings,
    directory: CallDirectory,
    *,
    registration: Registration | None = None,
    drain_s: float | None = None,
) -> None:
    """Load the models, serve streams until SIGTERM or SIGINT, then drain. A second signal stops at once.

    With `registration` it is a pod of the Smart Router. `drain_s` is DRAIN_TIMEOUT_S unless given.
    Raises EngineUnavailable when speech is not installed, OSError when the port is taken, Unavailable.
    """
    from breeze_buddy.media.speech import load_engines

    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    if plugins := allowed_plugins(settings):
        from breeze_buddy.media.providers.livekit import import_plugins

        import_plugins(plugins)  # on this thread, as they want it, before anybody is on the phone
    engines = await asyncio.to_thread(load_engines, settings)
    server = MediaServer(
        directory=directory,
        engines=engines,
        host=settings.media_host,
        port=settings.media_port,
        limits=SessionLimits(lead_s=settings.playback_lead_ms / 1000),
        capacity=settings.pod_capacity,
        bounded=settings.pod_isolation,
    )
    prepare_process()
    await server.start()
    log.info("media server listens on %s:%d", settings.media_host, server.port)
    try:
        if registration is not None:
            await registration.open(Served(streams=lambda: server.streams, refuse=server.refuse))
        await asked.wait()
        asked.clear()
        drain = asyncio.create_task(
            _drain(server, registration, settings.drain_timeout_s if drain_s is None else drain_s)
        )
        hurry = asyncio.create_task(asked.wait())
        await asyncio.wait([drain, hurry], return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if drain.done():
            await drain
        else:
            drain.cancel()
            await server.stop()
    finally:
        if registration is not None:
            await registration.close()
        if engines.disconnect is not None:
            await engines.disconnect()
        engines.close()


async def _drain(server: MediaServer, registration: Registration | None, drain_s: float) -> None:
    """The router knows before the sockets do."""
    if registration is not None:
        await registration.drain()
    await server.stop(drain_s)
