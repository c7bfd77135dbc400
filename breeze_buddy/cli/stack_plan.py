"""What a stack is made of: its data folder, its ports, the settings its processes get, their command lines.

    DATA/stack.lock, stack.json, secrets.json      whose it is, what runs, the simulated account
    DATA/breeze.db, temporal.db, recordings/       what is kept
    DATA/logs/NAME.log                             what each process said

The processes are given the simulated account whatever the environment says, so a stack can never call a
real phone.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from breeze_buddy.cli.ports import HOST, StackPorts
from breeze_buddy.cli.process import ChildSpec
from breeze_buddy.cli.readiness import Probe, http_ok, polls_temporal
from breeze_buddy.cli.stack_secrets import StackSecrets
from breeze_buddy.cli.temporal_server import temporal_child
from breeze_buddy.settings import PREFIX, Settings

_BREEZE = (sys.executable, "-m", "breeze_buddy.cli", "--log-format", "text")
_START_TIMEOUT_S = 120.0
_SIMULATED_CPS = 5


@dataclass(frozen=True, slots=True)
class StackPlan:
    """The parts of one stack. `seed` makes what the simulator does by chance repeatable."""

    folder: Path
    ports: StackPorts
    settings: Settings
    seed: int = 0

    @property
    def urls(self) -> dict[str, str]:
        """Where a person or a program finds the parts."""
        ports = self.ports
        return {
            "api": f"http://{HOST}:{ports.api}{PREFIX}",
            "api_docs": f"http://{HOST}:{ports.api}{PREFIX}/docs",
            "temporal_ui": f"http://{HOST}:{ports.temporal_ui}",
            "temporal": f"{HOST}:{ports.temporal}",
            "simulator": f"http://{HOST}:{ports.simulator}",
            "stream": f"ws://{HOST}:{ports.media}{PREFIX}/ws/twilio",
        }

    def environment(self, secrets: StackSecrets) -> dict[str, str]:
        """The settings of the children, over those of this process."""
        ports, folder = self.ports, self.folder.resolve()
        return dict(os.environ) | {
            "DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'breeze.db'}",
            "RECORDINGS_URL": f"file://{folder / 'recordings'}",
            "TEMPORAL_ADDRESS": f"{HOST}:{ports.temporal}",
            "PUBLIC_URL": f"http://{HOST}:{ports.api}",
            "STREAM_URL": self.urls["stream"],
            "TWILIO_API_BASE_URL": self.urls["simulator"],
            "TWILIO_ACCOUNT_SID": secrets.account_sid,
            "TWILIO_AUTH_TOKEN": secrets.auth_token,
            # The simulated account may do what a new one at Twilio may not.
            "TWILIO_CPS": str(self.settings.twilio_cps if "twilio_cps" in self.settings.model_fields_set else 50),
            "API_HOST": HOST,
            "API_PORT": str(ports.api),
            "MEDIA_HOST": HOST,
            "MEDIA_PORT": str(ports.media),
            # The simulator is near and quick; silence means trouble sooner than on the real network.
            "RECORDING_WAIT_S": "30",
            "STATUS_CHECK_S": "10",
            "LOST_REQUEST_S": "20",
            "WEBHOOK_ALLOW_PRIVATE": "true",
            "PYTHONUNBUFFERED": "1",
        }

    def temporal(self) -> ChildSpec:
        """Raises BinaryMissing."""
        return temporal_child(
            folder=self.folder,
            port=self.ports.temporal,
            ui_port=self.ports.temporal_ui,
            namespace=self.settings.temporal_namespace,
        )

    def simulator(self, secrets: StackSecrets) -> ChildSpec:
        command = [sys.executable, "-m", "breeze_buddy.simulator", "--host", HOST, "--port", str(self.ports.simulator)]
        command += ["--data", str(self.folder / "simulator"), "--seed", str(self.seed), "--cps", str(_SIMULATED_CPS)]
        # The account comes with the environment: command lines are there for everybody to read.
        probe = http_ok(f"{self.urls['simulator']}/simulator/health")
        return ChildSpec("simulator", tuple(command), self.environment(secrets), probe)

    def migrate(self, secrets: StackSecrets) -> ChildSpec:
        return ChildSpec("migrate", (*_BREEZE, "migrate"), self.environment(secrets), start_timeout_s=_START_TIMEOUT_S)

    def api(self, secrets: StackSecrets) -> ChildSpec:
        return self._breeze("api", secrets, http_ok(f"{self.urls['api']}/health"))

    def worker(self, secrets: StackSecrets) -> ChildSpec:
        settings = self.settings
        probe = polls_temporal(self.urls["temporal"], settings.temporal_namespace, settings.temporal_task_queue)
        return self._breeze("worker", secrets, probe)

    def media(self, secrets: StackSecrets) -> ChildSpec:
        return self._breeze("media", secrets, http_ok(f"http://{HOST}:{self.ports.media}/health"))

    def _breeze(self, name: str, secrets: StackSecrets, probe: Probe) -> ChildSpec:
        return ChildSpec(name, (*_BREEZE, name), self.environment(secrets), probe, start_timeout_s=_START_TIMEOUT_S)
