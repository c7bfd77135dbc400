"""`python -m breeze_buddy.simulator`: run the simulator, or print made-up people."""

import argparse
import asyncio
import gc
import json
import logging
import os
import signal
import sys
from pathlib import Path

from breeze_buddy.simulator.errors import ConfigurationError
from breeze_buddy.simulator.people import Scenario, load_scenario
from breeze_buddy.simulator.population import KINDS, people
from breeze_buddy.simulator.server import DEFAULT_ACCOUNT_SID, DEFAULT_AUTH_TOKEN, Simulator, SimulatorConfig

log = logging.getLogger("breeze_buddy.simulator")


def main(arguments: list[str] | None = None) -> int:
    """Entry point; the exit code is not 0 when the simulator could not start."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["people"]:
        return _print_people(given[1:])
    options = _options().parse_args(given)
    logging.basicConfig(level=options.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        scenario = load_scenario(options.scenario) if options.scenario else Scenario()
        if options.number:
            scenario = scenario.model_copy(update={"numbers": [*scenario.numbers, *options.number]})
        _run(
            SimulatorConfig(
                data=options.data,
                host=options.host,
                port=options.port,
                account_sid=options.account_sid,
                auth_token=options.auth_token,
                scenario=scenario,
                seed=options.seed,
                calls_per_second=options.cps,
                trial=options.trial,
                verified=tuple(options.verified),
                allow_insecure_streams=options.allow_insecure_streams,
                recording_delay_s=options.recording_delay,
                public_url=options.public_url,
            )
        )
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _run(config: SimulatorConfig) -> None:
    try:
        import uvloop
    except ImportError:
        asyncio.run(_serve(config))
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(config))


async def _serve(config: SimulatorConfig) -> None:
    simulator = Simulator(config)
    await simulator.start()
    gc.freeze()  # what start-up made stays; collecting it again and again would stall the audio
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopped.set)
    log.info("the simulator listens on %s as account %s", simulator.url, config.account_sid)
    await stopped.wait()
    await simulator.stop()
    log.info("the simulator has stopped")


def _print_people(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="simulator people", description="Print a scenario of made-up people.")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", action="append", choices=sorted(KINDS), help="only these kinds; may be repeated")
    options = parser.parse_args(arguments)
    made = people(options.count, options.seed, options.kind)
    content = {"people": [person.model_dump(mode="json", exclude_defaults=True) for person in made]}
    sys.stdout.write(json.dumps(content, indent=2) + "\n")
    return 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="simulator",
        description="A local Twilio with people who pick up. `simulator people` prints made-up people instead.",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8900)
    parser.add_argument("--data", type=Path, default=Path(".breeze/simulator"), help="folder for recordings and voices")
    sid, token = os.environ.get("TWILIO_ACCOUNT_SID"), os.environ.get("TWILIO_AUTH_TOKEN")
    parser.add_argument("--account-sid", default=sid or DEFAULT_ACCOUNT_SID, help="default: TWILIO_ACCOUNT_SID")
    parser.add_argument("--auth-token", default=token or DEFAULT_AUTH_TOKEN, help="default: TWILIO_AUTH_TOKEN")
    parser.add_argument("--scenario", type=Path, help="JSON or YAML: people, faults, numbers")
    parser.add_argument("--seed", type=int, default=0, help="makes faults by chance repeatable")
    parser.add_argument("--cps", type=float, default=1.0, help="calls dialled a second; 0: no limit")
    parser.add_argument("--number", action="append", default=[], help="a number of the account; may be repeated")
    parser.add_argument(
        "--trial", action="store_true", help="a trial account: verified numbers only, 10 minutes, prefix"
    )
    parser.add_argument("--verified", action="append", default=[], help="a verified number; may be repeated")
    parser.add_argument("--allow-insecure-streams", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--recording-delay", type=float, default=0.5, help="seconds from a call's end to its recording")
    parser.add_argument("--public-url", help="how others reach the simulator, for the URLs it hands out")
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    return parser


if __name__ == "__main__":
    sys.exit(main())
