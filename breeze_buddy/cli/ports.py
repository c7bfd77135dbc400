"""Which ports the stack listens on: the usual ones, a block that was asked for, or any that are free."""

import random
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path

from breeze_buddy.cli.errors import PortTaken

HOST = "127.0.0.1"
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST_FREE = 15_000


@dataclass(frozen=True, slots=True)
class StackPorts:
    """One port for each listener of the stack."""

    api: int = 8000
    media: int = 8001
    simulator: int = 8002
    temporal: int = 7233
    temporal_ui: int = 8233

    @classmethod
    def from_base(cls, base: int) -> "StackPorts":
        """A block of consecutive ports that begins at `base`."""
        return cls(*range(base, base + len(fields(cls))))

    def by_name(self) -> dict[str, int]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


WANTED_BY = {
    "api": "the API",
    "media": "the media server",
    "simulator": "the simulator",
    "temporal": "Temporal",
    "temporal_ui": "Temporal's UI",
}


def taken(ports: Mapping[str, int]) -> dict[str, int]:
    """Those of `ports` that cannot be listened on now."""
    return {name: port for name, port in ports.items() if not is_free(port)}


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return _listens(probe, port)


def _listens(probe: socket.socket, port: int) -> bool:
    # As servers do: connections of an earlier run that linger in TIME_WAIT do not count.
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((HOST, port))
        probe.listen(1)
    except OSError:
        return False
    return True


def require_free(ports: StackPorts) -> StackPorts:
    """`ports` unchanged. Raises PortTaken, naming each taken port, who wants it and what to do."""
    busy = taken(ports.by_name())
    if busy:
        raise PortTaken(
            "; ".join(f"port {port} is taken, and {WANTED_BY[name]} wants it" for name, port in busy.items())
            + ".\nStop whatever listens there, or choose other ports: --free-ports takes any that are free, "
            "--port-base N takes N and those that follow."
        )
    return ports


def free_ports() -> StackPorts:
    """Ports that nobody listens on now.

    They lie below the system's ephemeral range: a port inside it may be given to somebody's outgoing
    connection while the process that listens there is being started again.
    """
    with ExitStack() as held:
        found: list[int] = []
        for port in _candidates():
            probe = held.enter_context(socket.socket())
            if _listens(probe, port):
                found.append(port)
            if len(found) == len(fields(StackPorts)):
                return StackPorts(*found)
    raise PortTaken(f"no {len(fields(StackPorts))} free ports were found on {HOST}; use --port-base to name some.")


def _candidates() -> Iterator[int]:
    highest = int(_EPHEMERAL.read_text().split()[0]) if _EPHEMERAL.exists() else 32_768
    if highest <= _LOWEST_FREE + 1000:
        highest = 65_536
    return iter(random.sample(range(_LOWEST_FREE, highest), 200))
