"""`breeze dnc`: the do-not-call list."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from breeze_buddy.cli.command import ApiUrlOption, JsonOption, talk
from breeze_buddy.cli.exits import ExitCode

if TYPE_CHECKING:
    from breeze_buddy.cli.api_client import Api

app = typer.Typer(name="dnc", no_args_is_help=True, help="The do-not-call list: phones that are never dialled.")

PhoneArgument = Annotated[str, typer.Argument(help="The phone number, with its country code.")]


def _path(phone: str) -> str:
    from breeze_buddy.cli.phones import given_phone

    return f"/do-not-call/{quote(given_phone(phone), safe='')}"


@app.command("add")
def add(
    context: typer.Context,
    phone: PhoneArgument,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; shown with the entry.")] = None,
    api_url: ApiUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Never dial a phone again, whichever campaign it is in. Adding it twice changes nothing."""

    async def work(api: "Api") -> None:
        from breeze_buddy.cli.printing import print_json

        body = {"phone": phone} | ({"reason": reason} if reason is not None else {})
        status, entry = await api.ask("POST", "/do-not-call", body=body)
        if as_json:
            print_json(entry)
        else:
            print(f"{entry['phone']} is on the do-not-call list{'' if status == 201 else ' already'}")

    talk(context, api_url, work)


@app.command("check")
def check(
    context: typer.Context, phone: PhoneArgument, api_url: ApiUrlOption = None, as_json: JsonOption = False
) -> None:
    """Tell whether a phone is on the list: exit code 0 when it is, 4 when it is not."""

    async def work(api: "Api") -> int:
        from breeze_buddy.cli.errors import NotThere
        from breeze_buddy.cli.phones import given_phone
        from breeze_buddy.cli.printing import console, facts, moment, print_json

        try:
            entry = await api.get(_path(phone))
        except NotThere:
            if as_json:
                print_json({"phone": given_phone(phone), "listed": False})
            else:
                print(f"{given_phone(phone)} is not on the do-not-call list")
            return ExitCode.NOT_FOUND
        if as_json:
            print_json({"listed": True, **entry})
        else:
            since = moment(entry["created_at"])
            pairs = [("since", since), ("from", entry["source"]), ("reason", entry["reason"])]
            print(f"{entry['phone']} is on the do-not-call list")
            console().print(facts([*pairs, ("call", entry.get("call_id"))]))
        return ExitCode.DONE

    talk(context, api_url, work)


@app.command("remove")
def remove(
    context: typer.Context, phone: PhoneArgument, api_url: ApiUrlOption = None, as_json: JsonOption = False
) -> None:
    """Take a phone from the list: it may be dialled again."""

    async def work(api: "Api") -> None:
        from breeze_buddy.cli.phones import given_phone
        from breeze_buddy.cli.printing import print_json

        await api.delete(_path(phone))
        if as_json:
            print_json({"phone": given_phone(phone), "listed": False})
        else:
            print(f"{given_phone(phone)} is not on the do-not-call list any more")

    talk(context, api_url, work)


@app.command("list")
def list_entries(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many entries.")] = 100,
    api_url: ApiUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the entries."""

    async def work(api: "Api") -> None:
        from breeze_buddy.cli.printing import console, moment, print_json, table

        found = []
        async for entry in api.pages("/do-not-call", limit=min(limit, 100)):
            found.append(entry)
            if len(found) == limit:
                break
        if as_json:
            print_json(found)
            return
        rows = [(one["phone"], one["source"], one["reason"], moment(one["created_at"])) for one in found]
        console().print(table(("phone", "from", "reason", "since"), rows) if rows else "The list is empty.")

    talk(context, api_url, work)


@app.command("import")
def import_file(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV with a column phone (and reason), or one number a line.")
    ],
    default_country: Annotated[
        str | None,
        typer.Option("--default-country", help="ISO code, such as IN, for numbers without a country code."),
    ] = None,
    api_url: ApiUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add all phones of a file to the list; exit code 6 when some of them could not be read."""

    async def work(api: "Api") -> int:
        from breeze_buddy.cli.upload import print_upload, send_file

        query = {"default_country": default_country} if default_country else {}
        answer = await send_file(api, "/do-not-call/import", file, query)
        return print_upload(answer, what="phones", as_json=as_json)

    talk(context, api_url, work)
