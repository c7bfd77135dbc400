"""`breeze number`: our phone numbers and their lines."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from breeze_buddy.cli.command import ApiUrlOption, JsonOption, talk

if TYPE_CHECKING:
    from breeze_buddy.cli.api_client import Api

app = typer.Typer(name="number", no_args_is_help=True, help="Our phone numbers and their lines.")

NumberArgument = Annotated[str, typer.Argument(metavar="PHONE", help="The phone number, or the number's id.")]
DailyCapOption = Annotated[
    int | None, typer.Option("--daily-cap", min=1, help="Outbound calls it may make in a day; without: no limit.")
]


@app.command("add")
def add(
    context: typer.Context,
    phone: Annotated[str, typer.Argument(help="A number that the Twilio account owns, with its country code.")],
    channels: Annotated[int, typer.Option("--channels", min=1, help="Calls that it may carry at once.")] = 1,
    daily_cap: DailyCapOption = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Not to be used until `breeze number enable`.")] = False,
    answer_with: Annotated[
        str | None, typer.Option("--answer-with", help="Name of the template that takes calls to it.")
    ] = None,
    api_url: ApiUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a number. With --answer-with Twilio is told to send us its calls."""

    async def work(api: "Api") -> None:
        from breeze_buddy.cli.printing import print_json
        from breeze_buddy.cli.template import template_named

        body: dict[str, Any] = {"phone": phone, "channels": channels, "enabled": not disabled}
        if daily_cap is not None:
            body["daily_cap"] = daily_cap
        if answer_with is not None:
            body["inbound"] = {"template_id": (await template_named(api, answer_with))["id"]}
        made = await api.post("/numbers", body)
        if as_json:
            print_json(made)
        else:
            print(f"{made['phone']} has {_lines(made['channels'])}")

    talk(context, api_url, work)


@app.command("list")
def list_numbers(context: typer.Context, api_url: ApiUrlOption = None, as_json: JsonOption = False) -> None:
    """List all numbers."""

    async def work(api: "Api") -> None:
        from breeze_buddy.cli.printing import console, print_json, table

        found = await api.get("/numbers")
        if as_json:
            print_json(found)
            return
        if not found:
            print("No number is registered. `breeze number add` registers one.")
            return
        rows = [
            (
                one["phone"],
                one["channels"],
                "yes" if one["enabled"] else "no",
                one.get("daily_cap"),
                "answered" if one["inbound"] else "refused",
                one["id"],
            )
            for one in found
        ]
        console().print(table(("phone", "channels", "enabled", "daily cap", "calls to it", "id"), rows))

    talk(context, api_url, work)


@app.command("disable")
def disable(
    context: typer.Context, number: NumberArgument, api_url: ApiUrlOption = None, as_json: JsonOption = False
) -> None:
    """Place no more calls from a number; calls that are on go on."""
    talk(context, api_url, lambda api: _switch(api, number, enabled=False, as_json=as_json))


@app.command("enable")
def enable(
    context: typer.Context, number: NumberArgument, api_url: ApiUrlOption = None, as_json: JsonOption = False
) -> None:
    """Use a number again that was disabled."""
    talk(context, api_url, lambda api: _switch(api, number, enabled=True, as_json=as_json))


async def _switch(api: "Api", given: str, *, enabled: bool, as_json: bool) -> None:
    from breeze_buddy.cli.printing import print_json

    number = await _number(api, given)
    changed = await api.patch(f"/numbers/{number['id']}", {"enabled": enabled})
    if as_json:
        print_json(changed)
    else:
        print(f"{changed['phone']} is {'used' if changed['enabled'] else 'not used any more'}")


async def _number(api: "Api", given: str) -> Any:
    """The number with that id or phone, however the phone is written. Raises NotThere."""
    from breeze_buddy.cli.errors import NotThere
    from breeze_buddy.domain.errors import InvalidPhoneNumber
    from breeze_buddy.domain.phone import parse_e164

    try:
        phone: str | None = parse_e164(given)
    except InvalidPhoneNumber:
        phone = None
    for number in await api.get("/numbers"):
        if given == number["id"] or phone == number["phone"]:
            return number
    raise NotThere(f"no number {given!r} is registered: `breeze number list` shows those that are", status=404)


def _lines(channels: int) -> str:
    return "1 line" if channels == 1 else f"{channels} lines"
