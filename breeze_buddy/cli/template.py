"""`breeze template`: what the agent says, from files."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from breeze_buddy.cli.command import ApiUrlOption, JsonOption, begin, run, talk

if TYPE_CHECKING:
    from breeze_buddy.cli.api_client import Api

app = typer.Typer(name="template", no_args_is_help=True, help="Templates: what the agent says, and how calls are made.")

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A template in YAML or JSON; - is stdin.")]


class ChatEngine(StrEnum):
    """Who decides in a chat."""

    TEMPLATE = "template"
    SCRIPTED = "scripted"


VariableOption = Annotated[
    list[str] | None,
    typer.Option("--variable", "--var", metavar="NAME=VALUE", help="A variable of the lead; repeat it."),
]


@app.command("validate")
def validate(context: typer.Context, file: FileArgument, as_json: JsonOption = False) -> None:
    """Check a template without a server: each place that is wrong, and warnings about what is hardly meant.

    Exit code 1 when it is not valid; warnings alone are no reason."""
    begin(context)
    from breeze_buddy.cli.template_check import check

    raise typer.Exit(check(file, as_json=as_json))


@app.command("schema")
def schema(context: typer.Context) -> None:
    """Print the JSON Schema of templates, for editors that check a file while it is written."""
    begin(context)
    from breeze_buddy.cli.printing import print_json
    from breeze_buddy.domain.template_schema import template_schema

    print_json(template_schema())


@app.command("examples")
def examples(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Which to print; without it they are listed.")] = None,
) -> None:
    """List the example templates, or print one: `breeze template examples order-confirmation > mine.yaml`."""
    begin(context)
    from breeze_buddy.cli.template_examples import print_example, print_examples

    if name is None:
        print_examples()
    else:
        print_example(name)


@app.command("chat")
def chat(
    context: typer.Context,
    file: FileArgument,
    variables: VariableOption = None,
    engine: Annotated[
        ChatEngine | None,
        typer.Option(
            "--engine",
            help="template: the language model that the template names, or an error without it. "
            "scripted: phrases and keys. By default the model where it is configured.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Hold the conversation of a template here, as text: no server of ours and no sound.

    Type what the caller says; #1 is a key, /silence says nothing, /hangup hangs up. Lines may come from a pipe. At the
    end it prints how the conversation ended, its result and its answers.
    """
    settings = begin(context)
    from breeze_buddy.cli.template_chat import run_chat

    run(run_chat(settings, file, variables or (), engine=engine, as_json=as_json))


@app.command("call")
def call(
    context: typer.Context,
    file: FileArgument,
    variables: VariableOption = None,
    person: Annotated[
        str, typer.Option("--person", help="Who picks up: talks, silent, voicemail, hangs_up_early, no_answer, busy.")
    ] = "talks",
    say: Annotated[
        list[str] | None, typer.Option("--say", help="What they say at their turn, or press, as #1; repeat it.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder to use and to keep; by default .breeze/call, emptied first.")
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", min=5, help="Seconds for the call.")] = 180.0,
    as_json: JsonOption = False,
) -> None:
    """Call a simulated phone with a template, on a stack of its own, and print what was heard and the recording's path.

    Exit code 0 when the conversation reached its end, else 1.
    """
    settings = begin(context)
    from breeze_buddy.cli.template_call import CallOptions, run_call

    options = CallOptions(
        file=file,
        variables=tuple(variables or ()),
        person=person,
        say=tuple(say or ()),
        folder=data,
        timeout_s=timeout,
        as_json=as_json,
    )
    run(run_call(settings, options))


@app.command("push")
def push(context: typer.Context, file: FileArgument, api_url: ApiUrlOption = None, as_json: JsonOption = False) -> None:
    """Register a template, or put it in the place of the one of its name; calls placed from now on use it."""

    async def work(api: "Api") -> None:
        from breeze_buddy.cli.documents import read_document
        from breeze_buddy.cli.places import place
        from breeze_buddy.cli.printing import print_json, say

        template = read_document(file).data
        name = template.get("name")
        known = await api.get("/templates", name=name) if isinstance(name, str) and name else []
        if known:
            stored = await api.put(f"/templates/{known[0]['id']}", template)
        else:
            stored = await api.post("/templates", template)
        if as_json:
            print_json(stored)
        else:
            for warning in stored.get("warnings", ()):
                say(f"warning: {place(warning['loc'])}: {warning['message']}")
            print(f"template {stored['template']['name']} is at version {stored['version']}, id {stored['id']}")

    talk(context, api_url, work)


@app.command("list")
def list_templates(context: typer.Context, api_url: ApiUrlOption = None, as_json: JsonOption = False) -> None:
    """List all templates."""

    async def work(api: "Api") -> None:
        from breeze_buddy.cli.printing import console, moment, print_json, table

        found = await api.get("/templates")
        if as_json:
            print_json(found)
            return
        if not found:
            print("No template is registered. `breeze template push` registers one.")
            return
        rows = [(one["template"]["name"], one["version"], moment(one["updated_at"]), one["id"]) for one in found]
        console().print(table(("name", "version", "updated", "id"), rows))

    talk(context, api_url, work)


async def template_named(api: "Api", name: str) -> Any:
    """Raises NotThere."""
    from breeze_buddy.cli.errors import NotThere

    found = await api.get("/templates", name=name)
    if not found:
        raise NotThere(f"there is no template {name!r}: `breeze template list` shows those there are", status=404)
    return found[0]
