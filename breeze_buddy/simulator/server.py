"""The simulator as one object: start it, use its port, stop it."""

import asyncio
import logging
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from breeze_buddy.simulator.account import Account
from breeze_buddy.simulator.audio_clock import AudioClock
from breeze_buddy.simulator.background import Tasks
from breeze_buddy.simulator.callbacks import Callbacks
from breeze_buddy.simulator.callee import sentences_of
from breeze_buddy.simulator.conferences import Conferences
from breeze_buddy.simulator.control import ControlRoutes
from breeze_buddy.simulator.control_inbound import InboundRoutes
from breeze_buddy.simulator.errors import ConfigurationError
from breeze_buddy.simulator.exchange import Exchange
from breeze_buddy.simulator.faults import Faults
from breeze_buddy.simulator.music import hold_music
from breeze_buddy.simulator.people import Directory, OwnNumber, Person, Scenario
from breeze_buddy.simulator.program import Studio
from breeze_buddy.simulator.recordings import RecordingStore
from breeze_buddy.simulator.rest import CallRoutes, twilio_errors
from breeze_buddy.simulator.rest_conferences import ConferenceRoutes
from breeze_buddy.simulator.rest_numbers import NumberRoutes
from breeze_buddy.simulator.rest_recordings import RecordingRoutes
from breeze_buddy.simulator.sounds import Sounds
from breeze_buddy.simulator.speech import Speech
from breeze_buddy.simulator.webhooks import Webhooks

log = logging.getLogger(__name__)

DEFAULT_ACCOUNT_SID = "AC" + "5" * 32
DEFAULT_AUTH_TOKEN = "simulator-token"  # noqa: S105 (it opens nothing but a simulation)
SHUTDOWN_S = 2.0


@dataclass(frozen=True)
class SimulatorConfig:
    """How to run.

    ``port`` 0 lets the system choose. ``calls_per_second`` 0 means no limit. ``data`` holds ``recordings/`` and
    ``voices/``. ``recording_delay_s`` passes between a call's end and its recording's callback. ``public_url`` is how
    callers reach the simulator, for the URLs it hands out (by default the address it listens on).
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = 0
    account_sid: str = DEFAULT_ACCOUNT_SID
    auth_token: str = DEFAULT_AUTH_TOKEN
    scenario: Scenario = field(default_factory=Scenario)
    seed: int = 0
    calls_per_second: float = 1.0
    trial: bool = False
    verified: tuple[str, ...] = ()
    allow_insecure_streams: bool = True
    recording_delay_s: float = 0.5
    public_url: str | None = None


class Simulator:
    """A local Twilio."""

    def __init__(self, config: SimulatorConfig) -> None:
        self._config = config
        self._runner: web.AppRunner | None = None
        self._running: list[asyncio.Task[None]] = []
        self.port = config.port
        config.data.mkdir(parents=True, exist_ok=True)
        self.account = Account(config.account_sid, config.auth_token, config.trial, set(config.verified))
        for number in config.scenario.numbers:
            own = OwnNumber(phone=number) if isinstance(number, str) else number
            self.account.set_up(own.phone, own.model_dump(exclude={"phone"}, exclude_unset=True))
        self.faults = Faults(config.seed)
        for fault in config.scenario.faults:
            self.faults.add(fault)
        self._speech = Speech(config.data / "voices")
        self._tasks = Tasks()
        self._clock = AudioClock()
        self._webhooks = Webhooks(config.auth_token)
        self._callbacks = Callbacks(self._webhooks, self.faults, self._tasks, self.url)
        sounds, recordings = Sounds(self._speech, self._webhooks), RecordingStore(config.data / "recordings")
        studio = Studio(
            account_sid=config.account_sid,
            auth_token=config.auth_token,
            allow_insecure_streams=config.allow_insecure_streams,
            trial=config.trial,
            speech=self._speech,
            webhooks=self._webhooks,
            sounds=sounds,
            callbacks=self._callbacks,
            recordings=recordings,
            conferences=Conferences(
                config.account_sid,
                clock=self._clock,
                callbacks=self._callbacks,
                tasks=self._tasks,
                sounds=sounds,
                recordings=recordings,
                recording_delay_s=config.recording_delay_s,
            ),
        )
        self.exchange = Exchange(
            account=self.account,
            directory=Directory(config.scenario.people),
            faults=self.faults,
            studio=studio,
            clock=self._clock,
            tasks=self._tasks,
            calls_per_second=config.calls_per_second,
            recording_delay_s=config.recording_delay_s,
        )

    @property
    def url(self) -> str:
        """Where the REST interface is, as ``http://host:port``."""
        return self._config.public_url or f"http://{self._config.host}:{self.port}"

    async def start(self) -> None:
        """Listen. Raises ConfigurationError when the port is taken."""
        app = web.Application(middlewares=[twilio_errors])
        CallRoutes(self.exchange).add_to(app)
        NumberRoutes(self.account).add_to(app)
        ConferenceRoutes(self.exchange).add_to(app)
        RecordingRoutes(self.exchange).add_to(app)
        InboundRoutes(self.exchange).add_to(app)
        ControlRoutes(self.exchange, on_people=self._prepare_voices, seed=self._config.seed).add_to(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._config.host, self._config.port, reuse_address=True)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            self._runner = None
            raise ConfigurationError(
                f"The simulator cannot listen on {self._config.host}:{self._config.port}: {error.strerror}. "
                "Stop what uses the port or choose another with --port."
            ) from error
        hold_music()
        self.port = self._runner.addresses[0][1]
        self._callbacks.base_url = self.url
        await self._webhooks.start()
        self._running = [asyncio.create_task(self._clock.run(), name="audio clock")]
        self._prepare_voices(self._config.scenario.people)

    async def stop(self) -> None:
        """End every call and close everything."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await self._tasks.stop()
        for stream in tuple(self.exchange.studio.streams):
            stream.abort()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._webhooks.stop()
        self._speech.close()

    def _prepare_voices(self, people: list[Person]) -> None:
        """Render what these people may say, so that nobody has to wait for it while a phone rings."""

        async def render() -> None:
            for person in people:
                for attempt in range(1, len(person.attempts) + 2):
                    for text in sentences_of(person.behaviour_for(attempt)):
                        await self._speech.say(text, person.voice_or_default())

        if people:
            self._tasks.start(render(), "voices of the scenario")
