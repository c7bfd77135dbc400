"""`breeze lead`: one person at a time."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from breeze_buddy.cli.command import ApiUrlOption, JsonOption, talk

if TYPE_CHECKING:
    from breeze_buddy.cli.api_client import Api

app = typer.Typer(name="lead", no_args_is_help=True, help="Leads: one person at a time.")

LeadArgument = Annotated[str, typer.Argument(metavar="LEAD", help="The lead's id.")]


@app.command("push")
def push(
    context: typer.Context,
    phone: Annotated[str, typer.Argument(help="Whom to call, with the country code.")],
    template: Annotated[str, typer.Option("--template", help="Name of the template that talks.")],
    variables: Annotated[
        list[str] | None, typer.Option("--var", metavar="NAME=VALUE", help="A variable of the template; repeat it.")
    ] = None,
    time_zone: Annotated[str | None, typer.Option("--time-zone", help="The lead's own, as Europe/Berlin.")] = None,
    priority: Annotated[int, typer.Option("--priority", min=-100, max=100, help="Higher is called sooner.")] = 0,
    not_before: Annotated[
        str | None, typer.Option("--not-before", help="ISO 8601 time with its zone; not called before it.")
    ] = None,
    expires_at: Annotated[
        str | None, typer.Option("--expires-at", help="ISO 8601 time with its zone; no call begins from then on.")
    ] = None,
    request_id: Annotated[
        str | None, typer.Option("--request-id", help="Sent again with the same id, it is the first lead.")
    ] = None,
    api_url: ApiUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Push one lead: it is dialled on the next free line, at once if there is one."""

    async def work(api: "Api") -> None:
        from breeze_buddy.cli.options import pairs

        optional = {"time_zone": time_zone, "not_before": not_before, "expires_at": expires_at}
        body: dict[str, Any] = {
            "template_name": template,
            "phone": phone,
            "variables": pairs("--var", variables or ()),
            "priority": priority,
            **{name: value for name, value in (optional | {"request_id": request_id}).items() if value is not None},
        }
        _print_lead(await api.post("/leads", body), as_json=as_json)

    talk(context, api_url, work)


@app.command("show")
def show(context: typer.Context, lead: LeadArgument, api_url: ApiUrlOption = None, as_json: JsonOption = False) -> None:
    """Show a lead with every status it has had and all its calls."""

    async def work(api: "Api") -> None:
        from breeze_buddy.cli.lead_view import print_lead
        from breeze_buddy.cli.printing import print_json

        found = await api.get(f"/leads/{lead}")
        if as_json:
            print_json(found)
        else:
            print_lead(found)

    talk(context, api_url, work)


@app.command("cancel")
def cancel(
    context: typer.Context,
    lead: LeadArgument,
    let_finish: Annotated[bool, typer.Option("--let-finish", help="Let a live call come to its end.")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; kept with the lead.")] = None,
    api_url: ApiUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """No more calls to a lead. A live call is hung up, unless --let-finish."""

    async def work(api: "Api") -> None:
        from breeze_buddy.cli.options import cancel_request

        body = cancel_request(let_finish=let_finish, reason=reason)
        _print_lead(await api.post(f"/leads/{lead}/cancel", body), as_json=as_json)

    talk(context, api_url, work)


@app.command("dispatch-now")
def dispatch_now(
    context: typer.Context, lead: LeadArgument, api_url: ApiUrlOption = None, as_json: JsonOption = False
) -> None:
    """Call a waiting lead before all others, on the next free line; calling hours and limits stay as they are."""

    async def work(api: "Api") -> None:
        _print_lead(await api.post(f"/leads/{lead}/dispatch-now"), as_json=as_json)

    talk(context, api_url, work)


def _print_lead(lead: Any, *, as_json: bool) -> None:
    from breeze_buddy.cli.lead_view import sentence
    from breeze_buddy.cli.printing import print_json

    if as_json:
        print_json(lead)
    else:
        print(sentence(lead))
