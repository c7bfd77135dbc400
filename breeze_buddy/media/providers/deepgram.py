"""Recognition by Deepgram while the caller speaks, over its streaming interface (`/v1/listen`).

    turn ──µ-law as it came──▶ socket ──▶ interim and final results … end of turn: Finalize ──▶ the last result

Sockets are kept open between turns, and a turn takes any that is free: a call needs one only while its caller
speaks. A socket is given back only when its turn was answered to the end, so no word can reach another turn. When
one breaks, another is opened and hears what had no final result yet.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator

import aiohttp
import msgspec

from breeze_buddy.domain.providers import TranscriberChoice
from breeze_buddy.media import mulaw
from breeze_buddy.media.engines import Transcript, closing
from breeze_buddy.media.providers.connections import CONNECT_S, Connections
from breeze_buddy.media.providers.failures import ProviderFailed, refused
from breeze_buddy.media.providers.turn_tape import TurnTape

log = logging.getLogger(__name__)

NAME = "deepgram"
ADDRESS = "wss://api.deepgram.com"
MODEL = "nova-3"
ATTEMPTS = 3
AGAIN_S = 0.15
LAST_RESULT_S = 1.5
"""After `Finalize`: without a word in that time the socket is taken for dead."""
NEARLY_ALL_S = 0.06
KEEP_ALIVE_S = 4.0
"""Deepgram closes a socket on which nothing came for ten seconds."""
IDLE_S = 40.0


class _Alternative(msgspec.Struct):
    transcript: str = ""


class _Channel(msgspec.Struct):
    alternatives: list[_Alternative] = []


class _Results(msgspec.Struct, tag_field="type", tag="Results"):
    start: float
    duration: float
    channel: _Channel
    is_final: bool = False
    from_finalize: bool = False

    @property
    def text(self) -> str:
        return self.channel.alternatives[0].transcript.strip() if self.channel.alternatives else ""


class _Error(msgspec.Struct, tag_field="type", tag="Error"):
    description: str = ""
    message: str = ""


class _Kind(msgspec.Struct):
    type: str


_results = msgspec.json.Decoder(_Results)
_error = msgspec.json.Decoder(_Error)
_kind = msgspec.json.Decoder(_Kind)


class _Socket:
    """One connection, turn after turn. `heard` is the audio it was ever sent, in samples."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._ws = ws
        self.heard = 0
        self.idle_since_s = 0.0
        self.finalizing_since_s: float | None = None

    @property
    def closed(self) -> bool:
        return self._ws.closed

    def begin_turn(self) -> None:
        """Nothing was asked of it yet."""
        self.finalizing_since_s = None

    async def send_turn(self, audio: AsyncIterator[bytes]) -> None:
        """All of it, as it comes, and the wish for the last result."""
        async with closing(audio):
            async for piece in audio:
                await self._ws.send_bytes(piece)
                self.heard += len(piece)
        self.finalizing_since_s = asyncio.get_running_loop().time()  # the answer may be there before this goes on
        await self._ws.send_str('{"type":"Finalize"}')

    async def keep_alive(self) -> None:
        await self._ws.send_str('{"type":"KeepAlive"}')

    async def receive(self, limit_s: float | None) -> _Results | None:
        """The next result; None when none came in that time. Raises ProviderFailed."""
        try:
            async with asyncio.timeout(limit_s):
                message = await self._ws.receive()
        except TimeoutError:
            return None
        if message.type is not aiohttp.WSMsgType.TEXT:
            why = message.extra or self._ws.close_code or message.type.name
            raise ProviderFailed(NAME, f"the socket was closed ({why})")
        try:
            kind = _kind.decode(message.data).type
            if kind == "Error":
                error = _error.decode(message.data)
                raise ProviderFailed(NAME, error.description or error.message or "an error without a word")
            return _results.decode(message.data) if kind == "Results" else None
        except msgspec.DecodeError as error:
            raise ProviderFailed(NAME, f"a message that is none: {error}") from error

    async def close(self) -> None:
        if not self._ws.closed:
            try:
                await self._ws.send_str('{"type":"CloseStream"}')
            except ConnectionError:
                return  # closed by the other side
            await self._ws.close()


class DeepgramTranscriber:
    """Shared by all calls that choose the same model, language and keywords."""

    def __init__(
        self, connections: Connections, *, key: str, address: str | None = None, choice: TranscriberChoice
    ) -> None:
        self._connections = connections
        self._key = key
        self._url = f"{(address or ADDRESS).rstrip('/')}/v1/listen"
        self._query: list[tuple[str, str]] = [
            ("model", choice.model or MODEL),
            ("language", choice.language),
            ("encoding", "mulaw"),
            ("sample_rate", str(mulaw.SAMPLE_RATE_HZ)),
            ("channels", "1"),
            ("interim_results", "true"),
            ("punctuate", "true"),
            ("numerals", "true"),
            *(
                ("keyterm" if (choice.model or MODEL).startswith("nova-3") else "keywords", one)
                for one in choice.keywords
            ),
        ]
        self._idle: deque[_Socket] = deque()
        self._keeper: asyncio.Task[None] | None = None
        self._warming: set[asyncio.Task[None]] = set()

    def prepare(self) -> None:
        """A call begins: have a socket ready for its first turn."""
        if not self._idle and not self._warming:
            task = asyncio.create_task(self._warm())
            self._warming.add(task)
            task.add_done_callback(self._warming.discard)

    async def transcribe(self, turn: AsyncIterable[bytes]) -> AsyncIterator[Transcript]:
        async with TurnTape(turn) as tape:
            understood = 0  # samples that have a final result
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    async with closing(self._on_one_socket(tape, understood)) as results:
                        async for end, transcript in results:
                            understood = end
                            if transcript.text:
                                yield transcript
                    return
                except ProviderFailed as error:
                    if attempt == ATTEMPTS or not error.again:
                        raise
                    log.info("%s; again from %.1f s of the turn", error, understood / mulaw.SAMPLE_RATE_HZ)
                    await asyncio.sleep(AGAIN_S * attempt)

    async def close(self) -> None:
        for task in (self._keeper, *self._warming):
            if task is not None:
                task.cancel()
        while self._idle:
            await self._idle.popleft().close()

    async def _on_one_socket(self, tape: TurnTape, begin: int) -> AsyncIterator[tuple[int, Transcript]]:
        """Transcripts from sample `begin` of the turn on, each with how far there are final ones."""
        socket = await self._take()
        before = socket.heard
        socket.begin_turn()
        sending = asyncio.create_task(socket.send_turn(tape.play(begin)))
        answered = False  # to the end, so that nothing more can come
        interim = ""
        understood = begin
        loop = asyncio.get_running_loop()
        try:
            while True:
                since_s = socket.finalizing_since_s
                limit_s = LAST_RESULT_S / 5 if since_s is None else max(0.0, since_s + LAST_RESULT_S - loop.time())
                result = await socket.receive(limit_s)
                if sending.done() and not sending.cancelled() and (error := sending.exception()) is not None:
                    raise ProviderFailed(NAME, f"the socket was lost ({error})")
                if result is None:
                    if since_s is not None and loop.time() >= since_s + LAST_RESULT_S:
                        break
                    continue
                end = round((result.start + result.duration) * mulaw.SAMPLE_RATE_HZ) - before + begin
                if end <= begin and not result.from_finalize:  # of a turn before
                    continue
                interim = "" if result.is_final else result.text
                if result.is_final:
                    understood = max(understood, min(end, len(tape)))
                yield understood, Transcript(result.text, final=result.is_final)
                all_said = tape.ended and understood >= len(tape) - NEARLY_ALL_S * mulaw.SAMPLE_RATE_HZ
                if result.is_final and socket.finalizing_since_s is not None and (result.from_finalize or all_said):
                    answered = result.from_finalize
                    return
            if not interim and understood == begin:
                raise ProviderFailed(NAME, f"no result within {LAST_RESULT_S} s of the end of the turn")
            if interim:  # it was slow to make up its mind: what it had thought so far is better than nothing
                yield len(tape), Transcript(interim)
        finally:
            sending.cancel()
            await asyncio.wait([sending])
            if answered:
                self._give_back(socket)
            else:
                await socket.close()

    async def _take(self) -> _Socket:
        if not self._idle and self._warming:
            await asyncio.wait(self._warming)
        while self._idle:
            socket = self._idle.pop()
            if not socket.closed:
                return socket
        return await self._open()

    def _give_back(self, socket: _Socket) -> None:
        if socket.closed:
            return
        socket.idle_since_s = asyncio.get_running_loop().time()
        self._idle.append(socket)
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.create_task(self._keep())

    async def _warm(self) -> None:
        try:
            self._give_back(await self._open())
        except ProviderFailed as error:  # the first turn will find out by itself
            log.info("%s", error)

    async def _keep(self) -> None:
        """Free sockets are kept alive for a while, then closed."""
        while self._idle:
            await asyncio.sleep(KEEP_ALIVE_S)
            oldest_s = asyncio.get_running_loop().time() - IDLE_S
            while self._idle and self._idle[0].idle_since_s < oldest_s:
                await self._idle.popleft().close()
            for socket in tuple(self._idle):
                try:
                    await socket.keep_alive()
                except (ConnectionError, RuntimeError):
                    if socket in self._idle:
                        self._idle.remove(socket)

    async def _open(self) -> _Socket:
        try:
            async with asyncio.timeout(CONNECT_S):
                ws = await self._connections.http.ws_connect(
                    self._url, params=self._query, headers={"Authorization": f"Token {self._key}"}, heartbeat=None
                )
        except aiohttp.WSServerHandshakeError as error:
            raise refused(NAME, error.status, error.message, key="DEEPGRAM_API_KEY") from error
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise ProviderFailed(NAME, f"no connection ({error or type(error).__name__})") from error
        return _Socket(ws)
