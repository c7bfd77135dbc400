"""Log lines: readable, or one JSON object each; never a full phone number."""

import json
import logging
import subprocess
import sys

from breeze_buddy.cli.logs import JsonFormatter, TextFormatter, without_phone_numbers


def _record(message: str, *arguments: object, **extra: object) -> logging.LogRecord:
    return logging.getLogger("breeze_buddy.api").makeRecord(
        "breeze_buddy.api", logging.WARNING, "file.py", 1, message, arguments, None, extra=extra
    )


def test_phone_numbers_are_masked_in_messages_fields_and_urls() -> None:
    for formatter in (TextFormatter(), JsonFormatter()):
        line = formatter.format(_record("dialling %s", "+14155550123", to="+919876543210"))
        assert "+14…0123" in line
        assert "+91…3210" in line
        assert "4155550123" not in line
    assert without_phone_numbers("GET /leads?phone=%2B14155550123&limit=5") == "GET /leads?phone=+14…0123&limit=5"


def test_times_and_ids_are_left_alone() -> None:
    text = "2026-01-31T09:30:00+0000 CA0123456789abcdef0123456789abcdef took +12 ms"
    assert without_phone_numbers(text) == text


def test_a_json_line_has_the_ids_as_fields() -> None:
    content = json.loads(JsonFormatter().format(_record("the call %s", "ended", lead_id="abc", attempt=2)))
    assert content["message"] == "the call ended"
    assert (content["level"], content["logger"]) == ("WARNING", "breeze_buddy.api")
    assert (content["lead_id"], content["attempt"]) == ("abc", 2)
    assert content["at"].endswith("Z")


def test_an_error_keeps_its_traceback_without_the_number() -> None:
    program = (
        "import logging, sys\n"
        "from breeze_buddy.cli.logs import LogFormat, configure_logging\n"
        "configure_logging('info', LogFormat(sys.argv[1]))\n"
        "try:\n    raise ValueError('+14155550123 is unknown')\n"
        "except ValueError:\n    logging.getLogger('x').exception('no lead')\n"
    )
    for form in ("text", "json"):
        written = subprocess.run([sys.executable, "-c", program, form], capture_output=True, text=True).stderr
        assert "ValueError: +14…0123 is unknown" in written
        assert len(written.splitlines()) == 1 or form == "text"


def test_lines_are_json_when_nobody_watches_a_terminal() -> None:
    program = (
        "import logging\nfrom breeze_buddy.cli.logs import configure_logging\n"
        "configure_logging('info')\nlogging.getLogger('x').info('hello')\n"
    )
    written = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stderr
    assert json.loads(written)["message"] == "hello"
