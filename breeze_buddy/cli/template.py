"""`breeze template`: what the agent says, from files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from breeze_buddy.cli.command import ApiUrlOption, JsonOption, begin, talk

if TYPE_CHECKING:
    from breeze_buddy.cli.api_client import Api

app = typer.Typer(name="template", no_args_is_help=True, help="Templates: what the agent says, and how calls are made.")

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A template in YAML or JSON; - is stdin.")]


@app.command("validate")
def validate(context: typer.Context, file: FileArgument, as_json: JsonOption = False) -> None:
    """Check a template without a server; exit code 1 when it is not valid, with each place that is wrong."""
    begin(context)
    from breeze_buddy.cli.template_check import check

    raise typer.Exit(check(file, as_json=as_json))


@app.command("push")
def push(context: typer.Context, file: FileArgument, api_url: ApiUrlOption = None, as_json: JsonOption = False) -> None:
    """Register a template, or put it in the place of the one of its name; calls placed from now on use it."""

    async def work(api: "Api") -> None:
        from breeze_buddy.cli.documents import read_document
        from breeze_buddy.cli.printing import print_json

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
