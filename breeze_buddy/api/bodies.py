"""Bodies of requests, bounded in size while they arrive: nobody fills our memory or disk."""

import re
from collections.abc import Mapping

from fastapi import HTTPException, status
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from breeze_buddy.api.errors import refusal
from breeze_buddy.settings import PREFIX

# Who takes files: see uploaded_file.py.
_FILE_ROUTE = re.compile(re.escape(PREFIX) + r"/(campaigns/[^/]+/leads|do-not-call/import)")


class TooLarge(HTTPException):
    """A body beyond its limit; 413."""

    code = "too_large"

    def __init__(self, max_bytes: int) -> None:
        self.message = (
            f"the body is larger than {max_bytes} bytes: send less at once (UPLOAD_MAX_BYTES, BODY_MAX_BYTES)"
        )
        super().__init__(status.HTTP_413_CONTENT_TOO_LARGE, self.message)


class BodyLimit:
    """Refuses bodies that are too large before they are read, or, when they do not say their size, while."""

    def __init__(self, app: ASGIApp, *, max_bytes: int, max_file_bytes: int, by_prefix: Mapping[str, int]) -> None:
        """`by_prefix`: paths that start so have a limit of their own.

        `max_file_bytes`: of files that are never whole in memory, by the route and the kind of body.
        """
        self._app = app
        self._max_bytes = max_bytes
        self._max_file_bytes = max_file_bytes
        self._by_prefix = by_prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        limit = self._limit(scope["path"], headers.get(b"content-type", b""))
        said = headers.get(b"content-length", b"")
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

    def _limit(self, path: str, kind: bytes) -> int:
        if _FILE_ROUTE.fullmatch(path) and not kind.startswith(b"application/json"):
            return self._max_file_bytes
        return next((limit for prefix, limit in self._by_prefix.items() if path.startswith(prefix)), self._max_bytes)
