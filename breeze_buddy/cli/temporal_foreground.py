"""`breeze temporal`: the development server alone, set up and kept until a signal."""

from pathlib import Path

from breeze_buddy.cli.errors import PortTaken, StartFailed
from breeze_buddy.cli.foreground import INTERRUPTED, to_the_end, until_signalled
from breeze_buddy.cli.lock import FolderLock
from breeze_buddy.cli.ports import HOST, is_free
from breeze_buddy.cli.process import Child
from breeze_buddy.cli.temporal_server import temporal_child
from breeze_buddy.cli.temporal_setup import connect, prepare
from breeze_buddy.settings import Settings


async def run_temporal(settings: Settings, *, folder: Path, port: int, ui_port: int) -> int:
    """Serve until SIGINT or SIGTERM. Raises PortTaken, FolderInUse, BinaryMissing, StartFailed, SetupFailed."""
    for wanted, option in ((port, "--port"), (ui_port, "--ui-port")):
        if not is_free(wanted):
            raise PortTaken(f"port {wanted} is taken, and Temporal wants it: choose another with {option}.")
    with FolderLock(folder):
        logs = folder / "logs"
        logs.mkdir(exist_ok=True)
        spec = temporal_child(folder=folder, port=port, ui_port=ui_port, namespace=settings.temporal_namespace)
        server = Child(spec, logs)
        code = await until_signalled(_serve(server, settings, port, ui_port), insist=server.kill)
        return 0 if code == INTERRUPTED else code


async def _serve(server: Child, settings: Settings, port: int, ui_port: int) -> int:
    try:
        await server.spawn()
        await server.until_ready()
        client = await connect(f"{HOST}:{port}", settings.temporal_namespace, wait_s=30)
        await prepare(client, retention_days=settings.temporal_retention_days)
        print(f"Temporal serves on {HOST}:{port}; its UI is at http://{HOST}:{ui_port} (Ctrl-C stops it)", flush=True)
        await server.until_exit()
    finally:
        await to_the_end(server.stop())
    raise StartFailed(f"Temporal {server.how_it_ended()}. {server.last_words()}")
