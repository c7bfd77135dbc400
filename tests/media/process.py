"""A media server as a process of its own, with the calls of a test: what `test_process.py` starts and signals."""

import logging
import sys

import uvloop

from breeze_buddy.domain.conversation import ConversationReport
from breeze_buddy.media.directory import StreamCall
from breeze_buddy.media.server import serve
from breeze_buddy.settings import Settings
from tests.media.fakes import MemoryDirectory, call_of, template_of

FLOW = {"start": "bye", "nodes": {"bye": {"say": "Thank you. Goodbye.", "then": {"action": "end_conversation"}}}}


class PrintingDirectory(MemoryDirectory):
    async def claim(self, *, token: str, call_sid: str, stream_sid: str) -> StreamCall:
        return call_of(template_of(FLOW))

    async def report(self, report: ConversationReport, *, stream_sid: str) -> None:
        print("reported", report.ending, flush=True)


async def main() -> None:
    await serve(Settings(media_port=0), PrintingDirectory(), drain_s=20)
    print("stopped", flush=True)


if __name__ == "__main__":
    logging.basicConfig(level="INFO", stream=sys.stdout, format="%(message)s")
    uvloop.run(main())
