"""The Range header, as RFC 9110 section 14 has it; one range of bytes."""

import re

# A number of more digits than any file has bytes is not read at all.
_ONE = re.compile(r"bytes=\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})\s*", re.IGNORECASE)


class RangeNotSatisfiable(ValueError):
    """A range that begins after the end."""


def read_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Start and end (not included) of the wanted bytes; None when the whole is to be sent.

    A header that is malformed, or that names several ranges, is ignored, as the RFC allows.
    """
    match = _ONE.fullmatch(header or "")
    if match is None or match[0] == "bytes=-" or not (match[1] or match[2]):
        return None
    if not match[1]:
        start, end = max(size - int(match[2]), 0), size
    else:
        start, end = int(match[1]), min(int(match[2]) + 1 if match[2] else size, size)
        if match[2] and int(match[2]) < start:
            return None
    if start >= end:
        raise RangeNotSatisfiable
    return start, end
