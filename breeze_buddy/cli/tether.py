"""Run a command that cannot outlive whoever started it; `process.py` starts every child through this file.

    python -I -S tether.py PARENT_PID COMMAND [ARGUMENT...]

On Linux the kernel is asked (prctl(2), PR_SET_PDEATHSIG) to kill this process when its parent dies, even
when the parent is killed outright; the request outlives the exec that follows, so the command runs under
the same process id. Elsewhere the command is simply run. It imports nothing of ours, to start in milliseconds.
"""

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
PARENT_GONE = 125
NOT_STARTED = 127


def main(arguments: list[str]) -> int:
    parent_pid, command = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")
        if os.getppid() != parent_pid:  # it died before the request was in place
            return PARENT_GONE
    try:
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        print(f"{command[0]} cannot be started: {error.strerror}", file=sys.stderr)
        return NOT_STARTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
