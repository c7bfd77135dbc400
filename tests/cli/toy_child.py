"""A process to be supervised: `toy_child.py MODE [ARGUMENT]`.

serve PORT     accepts connections until SIGTERM
stubborn PORT  the same, but nothing less than SIGKILL ends it
parent FILE    starts a grandchild, writes its process id to FILE, and waits
fail WORDS     prints the words and exits with code 3
mute           runs and answers nobody
"""

import os
import signal
import socket
import sys
from pathlib import Path


def main() -> None:
    mode, argument = sys.argv[1], (sys.argv[2:] or [""])[0]
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if mode == "fail":
        print(argument)
        sys.exit(3)
    if mode == "parent":
        pid = os.fork()
        if pid:
            fresh = Path(argument + ".new")
            fresh.write_text(str(pid))
            fresh.rename(argument)
        signal.pause()
    if mode in ("serve", "stubborn"):
        with socket.create_server(("127.0.0.1", int(argument))) as server:
            while True:
                server.accept()[0].close()
    signal.pause()


main()
