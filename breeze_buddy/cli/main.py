"""The `breeze` command: one subcommand for each process, the whole stack at once, and what is done with it."""

import importlib.metadata
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from breeze_buddy.cli import campaign, dnc, lead, number, template
from breeze_buddy.cli.command import JsonOption, begin, run
from breeze_buddy.cli.errors import CommandError
from breeze_buddy.cli.exits import EPILOG
from breeze_buddy.cli.logs import LogFormat

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Phone campaigns held by a voice agent. Settings come from the environment or a .env file; "
    "unset, they describe one machine with the simulator instead of Twilio.",
    epilog=EPILOG,
)
for group in (campaign, lead, number, template, dnc):
    app.add_typer(group.app)

LogFormatOption = Annotated[
    LogFormat, typer.Option("--log-format", help="How log lines look; auto is text on a terminal, JSON otherwise.")
]
DataOption = Annotated[Path, typer.Option("--data", help="Folder for databases, recordings and logs; made if missing.")]
PortBaseOption = Annotated[
    int | None,
    typer.Option(
        "--port-base",
        min=1024,
        max=65_000,
        help="Use this port and the next four (API, media, simulator, Temporal, Temporal's UI).",
    ),
]
FreePortsOption = Annotated[bool, typer.Option("--free-ports", help="Use any ports that are free.")]


@app.callback()
def options(context: typer.Context, log_format: LogFormatOption = LogFormat.AUTO) -> None:
    """Options that every command has."""
    context.obj = log_format


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `breeze` script; `arguments` in place of the process's own. Leaves by SystemExit."""
    try:
        app(arguments)
    except CommandError as error:
        print(f"breeze: {error}", file=sys.stderr)
        sys.exit(error.code)


@app.command()
def version() -> None:
    """Print the version."""
    print(importlib.metadata.version("breeze-buddy"))


@app.command()
def api(context: typer.Context) -> None:
    """Serve REST, its documentation and Twilio's callbacks on API_HOST:API_PORT, until it is told to stop.

    Needs the database at its newest schema (`breeze migrate`) and Temporal (TEMPORAL_ADDRESS).
    """
    settings = begin(context)
    from breeze_buddy.api.server import serve

    run(serve(settings))


@app.command()
def worker(context: typer.Context) -> None:
    """Carry out workflows and their activities from the task queue TEMPORAL_TASK_QUEUE, until it is told to stop.

    Run as many as the load needs; they share the work.
    """
    settings = begin(context)
    from breeze_buddy.cli.worker import serve

    run(serve(settings))


@app.command()
def media(
    context: typer.Context,
    drain: Annotated[
        bool,
        typer.Option("--drain", help="Start nothing: make the running pod POD_NAME drain, and wait until it is empty."),
    ] = False,
) -> None:
    """Serve the calls' audio on MEDIA_HOST:MEDIA_PORT, until it is told to stop.

    Needs the `speech` extra of the package. With --drain it waits DRAIN_TIMEOUT_S at most; exit code 1: not empty yet.
    """
    settings = begin(context)
    if drain:
        from breeze_buddy.cli.pods import drain_pod
        from breeze_buddy.media.registration import pod_of

        run(drain_pod(settings, pod_of(settings).name, wait_s=settings.drain_timeout_s))
        return
    from breeze_buddy.cli.media import serve

    run(serve(settings))


pods_app = typer.Typer(invoke_without_command=True, help="List the media servers (pods) that take streams.")
app.add_typer(pods_app, name="pods")


@pods_app.callback(invoke_without_command=True)
def pods(
    context: typer.Context,
    as_json: JsonOption = False,
) -> None:
    """List the media servers (pods) that take streams, from the database of DATABASE_URL."""
    if context.invoked_subcommand is not None:
        return
    settings = begin(context)
    from breeze_buddy.cli.pods import list_pods

    run(list_pods(settings, as_json=as_json))


@pods_app.command("drain")
def drain_pod(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The pod's name, as `breeze pods` lists it.")],
    wait: Annotated[
        float | None, typer.Option("--wait", min=0, help="Seconds to wait until it is empty; exit code 1: it is not.")
    ] = None,
) -> None:
    """Give a pod no new streams; its calls go on to their end. It takes streams again when it is started anew."""
    settings = begin(context)
    from breeze_buddy.cli.pods import drain_pod

    run(drain_pod(settings, name, wait_s=wait))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
def simulator(context: typer.Context) -> None:
    """Run a local Twilio with people who pick up. All arguments go to it: `breeze simulator --help` lists them."""
    os.execv(sys.executable, [sys.executable, "-m", "breeze_buddy.simulator", *context.args])  # noqa: S606


@app.command()
def migrate(
    context: typer.Context,
    skip_temporal: Annotated[bool, typer.Option("--skip-temporal", help="Only the database.")] = False,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for Temporal to serve.")] = 60.0,
) -> None:
    """Bring the database and Temporal to what this version needs. Can be run again at any time.

    The database of DATABASE_URL gets its newest schema; the namespace of Temporal its retention
    (TEMPORAL_RETENTION_DAYS) and the search attributes that are missing.
    """
    settings = begin(context)
    from breeze_buddy.cli.migrate import migrate_all

    run(migrate_all(settings, temporal_wait_s=None if skip_temporal else wait))


@app.command()
def temporal(
    context: typer.Context,
    data: DataOption = Path(".breeze"),
    port: Annotated[int, typer.Option("--port", min=1, max=65_535, help="gRPC port.")] = 7233,
    ui_port: Annotated[int | None, typer.Option("--ui-port", min=1, max=65_535, help="Default: port + 1000.")] = None,
) -> None:
    """Run Temporal's development server in the foreground, with the flags that campaigns are better for.

    Its state is kept in temporal.db in the data folder, with call history for TEMPORAL_RETENTION_DAYS.
    """
    settings = begin(context)
    from breeze_buddy.cli.temporal_foreground import run_temporal

    run(run_temporal(settings, folder=data, port=port, ui_port=ui_port or port + 1000))


@app.command()
def up(
    context: typer.Context,
    data: DataOption = Path(".breeze"),
    port_base: PortBaseOption = None,
    free_ports: FreePortsOption = False,
) -> None:
    """Start the whole stack on this machine (Temporal, simulator, API, worker, media) and keep it until Ctrl-C.

    Calls go to the simulator, never to a real phone.
    """
    settings = begin(context)
    from breeze_buddy.cli.up import run_up

    run(run_up(settings, folder=data, port_base=port_base, any_free=free_ports))


@app.command()
def doctor(
    context: typer.Context,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="Examine the stack that `breeze up` runs in this folder; by default one in .breeze, if no "
            "Twilio account is set.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check an installation: Twilio, numbers, public address, signatures, Temporal, database, clocks, recordings.

    Every failure says what to do. Exit code 1: something failed. Nothing is changed and nobody is called.
    """
    settings = begin(context)
    from breeze_buddy.cli.doctor.examination import run_doctor

    run(run_doctor(settings, folder=data, as_json=as_json))


@app.command()
def demo(
    context: typer.Context,
    leads: Annotated[int, typer.Option("--leads", min=1, max=1000, help="How many people to call.")] = 20,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Other people with another seed.")] = 1,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the stack running at the end, until Ctrl-C.")] = False,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder to use and to keep; by default .breeze/demo, emptied at each run."),
    ] = None,
    report: Annotated[Path | None, typer.Option("--report", help="Write what happened as JSON to this file.")] = None,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", min=1, help="Seconds for the campaign; by default 180 and 6 for each lead."),
    ] = None,
    port_base: PortBaseOption = None,
    free_ports: FreePortsOption = False,
) -> None:
    """Run a campaign of simulated people to its end, and check that every lead ended as its person must.

    Exit code 0: all did. 1: some did not, or time ran out. Takes the usual ports, or any free ones if those are taken.
    """
    settings = begin(context)
    from breeze_buddy.cli.demo import DemoOptions, run_demo

    options = DemoOptions(
        leads=leads,
        seed=seed,
        keep=keep,
        folder=data,
        report=report,
        timeout_s=timeout if timeout is not None else 180.0 + 6.0 * leads,
        port_base=port_base,
        any_free=free_ports,
    )
    run(run_demo(settings, options))
