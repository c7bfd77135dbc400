"""The file in the body of a request, piece by piece: the body itself, or the first file of a multipart form."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from fastapi import HTTPException, Request, status
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from breeze_buddy.api.csv_records import MalformedCsv, Record, RecordReader

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

# Small: what is read of one piece is read before anybody else has a turn.
_PIECE_BYTES = 16 * 1024
SILENCE_S = 60.0


class ClientSilent(HTTPException):
    """Somebody began to send a file and stopped; 408."""

    def __init__(self) -> None:
        super().__init__(
            status.HTTP_408_REQUEST_TIMEOUT, f"nothing of the file came for {SILENCE_S:g} s: send it again"
        )


class UploadedFile:
    """`name` is what a form calls the file, known once its first piece has come."""

    def __init__(self, request: Request) -> None:
        self.name: str | None = None
        self._request = request

    async def records(self) -> AsyncGenerator[list[Record], None]:
        """Rows of CSV, as many at a time as have come.

        Raises MalformedCsv, TooLarge, ClientSilent, ClientDisconnect.
        """
        reader = RecordReader()
        async with aclosing(self._pieces()) as pieces:
            async for piece in pieces:
                yield reader.feed(piece)
        yield reader.end()

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        kind, options = parse_options_header(self._request.headers.get("content-type", ""))
        if kind != b"multipart/form-data":
            async for piece in self._body():
                yield piece
            return
        form = _Form(options.get(b"boundary", b""))
        async for piece in self._body():
            for part in form.feed(piece):
                yield part
            self.name = form.file_name
        form.end()

    async def _body(self) -> AsyncGenerator[bytes, None]:
        stream = self._request.stream()
        while True:
            try:
                async with asyncio.timeout(SILENCE_S):
                    data = await anext(stream, None)
            except TimeoutError as error:
                raise ClientSilent from error
            if data is None:
                return
            for start in range(0, len(data), _PIECE_BYTES):
                yield data[start : start + _PIECE_BYTES]


class _Form:
    """A multipart form of which the one file is wanted."""

    def __init__(self, boundary: bytes) -> None:
        if not boundary:
            raise MalformedCsv("the multipart form cannot be read: its Content-Type names no boundary")
        self.file_name: str | None = None
        self._files = 0
        self._in_file = False
        self._ended = False
        self._header = b""
        self._value = b""
        self._got: list[bytes] = []
        callbacks: MultipartCallbacks = {
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)
        except FormParserError as error:
            raise MalformedCsv(f"the multipart form cannot be read: {error}") from error

    def feed(self, data: bytes) -> list[bytes]:
        """What of the file is in these bytes of the form. Raises MalformedCsv."""
        self._got = []
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise MalformedCsv(f"the multipart form cannot be read: {error}") from error
        return self._got

    def end(self) -> None:
        """Raises MalformedCsv unless the form is whole and had one file."""
        if not self._ended:
            raise MalformedCsv("the multipart form cannot be read: its end is missing")
        if self._files == 0:
            raise MalformedCsv("the multipart form has no file: send the CSV as a file of the form")

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(self._value)
            if b"filename" in options:
                self._in_file = True
                self._files += 1
                if self._files > 1:
                    raise MalformedCsv("the multipart form has several files: send one at a time")
                self.file_name = options[b"filename"].decode(errors="replace")[:255] or None
        self._header = self._value = b""

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._got.append(data[start:end])

    def _on_part_end(self) -> None:
        self._in_file = False

    def _on_end(self) -> None:
        self._ended = True
