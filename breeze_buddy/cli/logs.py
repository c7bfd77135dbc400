"""Logging of every process, configured once: plain text for people, one JSON object a line for machines.

Whatever a message holds, phone numbers in it are masked before it is written.
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from enum import StrEnum
from urllib.parse import unquote

from breeze_buddy.domain.phone import mask

_PHONE = re.compile(r"(?:\+|%2[Bb])[1-9]\d{7,14}\b")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
# They say at INFO what our own lines say better.
_TALKATIVE = ("alembic", "httpx", "picows", "httpcore", "twilio.http_client", "aiohttp.access", "asyncio")


class LogFormat(StrEnum):
    AUTO = "auto"  # text on a terminal, JSON otherwise
    TEXT = "text"
    JSON = "json"


def configure_logging(level: str, form: LogFormat = LogFormat.AUTO) -> None:
    """Send all records of `level` (a name such as INFO) and above to stderr. Raises ValueError for an unknown level."""
    if form is LogFormat.AUTO:
        form = LogFormat.TEXT if sys.stderr.isatty() else LogFormat.JSON
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form is LogFormat.JSON else TextFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def without_phone_numbers(text: str) -> str:
    """`text` with every number that is written as `+…` (or `%2B…`, in a URL) masked."""
    return _PHONE.sub(lambda found: mask(unquote(found.group())), text)


def _extras(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD and not name.startswith("_")}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class TextFormatter(logging.Formatter):
    """`2026-01-31T09:30:00.250Z INFO    breeze_buddy.api  the message  lead_id=…`"""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_time(record)} {record.levelname:<7} {record.name}  {record.getMessage()}"
        line += "".join(f"  {name}={value}" for name, value in _extras(record).items())
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return without_phone_numbers(line)


class JsonFormatter(logging.Formatter):
    """`{"at": …, "level": …, "logger": …, "message": …, "lead_id": …, "error": …}`"""

    def format(self, record: logging.LogRecord) -> str:
        content: dict[str, object] = {
            "at": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        } | _extras(record)
        if record.exc_info:
            content["error"] = self.formatException(record.exc_info)
        return without_phone_numbers(json.dumps(content, default=str, ensure_ascii=False))
