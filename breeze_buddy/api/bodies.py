"""Bodies of requests, bounded in size while they arrive: nobody fills our memory or disk."""

from collections.abc import AsyncGenerator, Mapping

from fastapi import HTTPException, Request, status
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from breeze_buddy.api.errors import refusal
from breeze_buddy.api.lead_csv import MalformedCsv


class TooLarge(HTTPException):
    """A body beyond its limit; 413."""

    code = "too_large"

    def __init__(self, max_bytes: int) -> None:
        self.message = f"the body is larger than {max_bytes} bytes: send less at once (UPLOAD_MAX_BYTES)"
        super().__init__(status.HTTP_413_CONTENT_TOO_LARGE, self.message)


class BodyLimit:
    """Refuses bodies that are too large before they are read, or, when they do not say their size, while."""

    def __init__(self, app: ASGIApp, *, max_bytes: int, by_prefix: Mapping[str, int]) -> None:
        """`by_prefix`: paths that start so have a limit of their own."""
        self._app = app
        self._max_bytes = max_bytes
        self._by_prefix = by_prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope["path"])
        said = dict(scope["headers"]).get(b"content-length", b"")
        if said.isdigit() and (len(said) > 18 or int(said) > limit):
            error = TooLarge(limit)
            await refusal(error.status_code, error.code, error.message)(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise TooLarge(limit)
            return message

        await self._app(scope, counted, send)

    def _limit(self, path: str) -> int:
        return next((limit for prefix, limit in self._by_prefix.items() if path.startswith(prefix)), self._max_bytes)


async def csv_body(request: Request) -> bytes:
    """The body, or the first file of a multipart form. Raises MalformedCsv."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await request.body()
    body = await request.body()

    async def whole() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        form = await MultiPartParser(request.headers, whole(), max_files=1, max_part_size=len(body) + 1).parse()
    except (MultiPartException, KeyError) as error:
        raise MalformedCsv(f"the multipart form cannot be read: {error}") from error
    try:
        for part in form.values():
            if isinstance(part, UploadFile):
                return await part.read()
    finally:
        await form.close()
    raise MalformedCsv("the multipart form has no file: send the CSV as a file of the form")
