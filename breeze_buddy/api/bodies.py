"""Bodies of uploads, bounded in size while they arrive."""

from fastapi import Request
from starlette.datastructures import UploadFile


class TooLarge(Exception):
    """A body beyond the limit of the settings."""


async def csv_body(request: Request, *, max_bytes: int) -> bytes:
    """The body, or the first file of a multipart form. Raises TooLarge, before all of it has been read."""
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        said = request.headers.get("content-length", "")
        if said.isdecimal() and int(said) > max_bytes:
            raise TooLarge(_message(max_bytes))
        async with request.form(max_files=1, max_part_size=max_bytes) as form:
            for part in form.values():
                if isinstance(part, UploadFile):
                    data = await part.read(max_bytes + 1)
                    if len(data) > max_bytes:
                        raise TooLarge(_message(max_bytes))
                    return data
        return b""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise TooLarge(_message(max_bytes))
    return bytes(body)


def _message(max_bytes: int) -> str:
    return f"the body is larger than {max_bytes} bytes: send the leads in several uploads (UPLOAD_MAX_BYTES)"
