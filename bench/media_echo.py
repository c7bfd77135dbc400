"""The least that a media server could do: a WebSocket of picows that sends every message back as it came.

Prints its port; ends with SIGTERM.
"""

import asyncio
import signal

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server


class Echo(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            transport.send(WSMsgType.TEXT, frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()


def _listener(request: WSUpgradeRequest) -> Echo:
    return Echo()


async def _main() -> None:
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    server = await ws_create_server(_listener, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asked.wait()


if __name__ == "__main__":
    uvloop.run(_main())
