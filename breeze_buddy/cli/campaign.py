"""`breeze campaign`: a template, numbers and leads, from creation to results."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from breeze_buddy.cli.command import ApiUrlOption, JsonOption, talk

if TYPE_CHECKING:
    from breeze_buddy.cli.api_client import Api

app = typer.Typer(name="campaign", no_args_is_help=True, help="Campaigns, from creation to results.")

CampaignArgument = Annotated[str, typer.Argument(metavar="CAMPAIGN", help="The campaign's id.")]
StartOption = Annotated[bool, typer.Option("--start", help="Start dialling at once.")]
StartAtOption = Annotated[
    str | None, typer.Option("--start-at", help="Start by itself then; ISO 8601 with its zone, 2026-08-01T09:00+02:00.")
]
MapOption = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="COLUMN=FIELD", help="A column of the file is this field or variable; repeat it."),
]
CountryOption = Annotated[
    str | None, typer.Option("--default-country", help="ISO code, such as IN, for numbers without a country code.")
]
RefusalsOption = Annotated[
    Path | None, typer.Option("--refusals", help="Write the rows that were refused to this CSV file, with the reason.")
]
OutcomeOption = Annotated[
    list[str] | None, typer.Option("--outcome", help="Leads that ended so, as NO_ANSWER; repeat it.")
]


@app.command("create")
def create(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="The definition in YAML or JSON; - is stdin.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="What people call it.")] = None,
    template: Annotated[str | None, typer.Option("--template", help="Name of a registered template.")] = None,
    template_file: Annotated[
        Path | None, typer.Option("--template-file", help="A template in YAML or JSON, registered by its name.")
    ] = None,
    numbers: Annotated[
        list[str] | None, typer.Option("--number", help="A registered number to call from; repeat it.")
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Its leads, as CSV with a header; - is stdin.")] = None,
    column_map: MapOption = None,
    default_country: CountryOption = None,
    refusals: RefusalsOption = None,
    max_concurrent: Annotated[
        int | None, typer.Option("--max-concurrent-calls", min=1, help="Calls at once; without: its numbers' lines.")
    ] = None,
    calls_per_second: Annotated[
        float | None, typer.Option("--calls-per-second", help="Dials a second, at most.")
    ] = None,
    weight: Annotated[float | None, typer.Option("--weight", help="Its share of lines that others use too.")] = None,
    start_at: StartAtOption = None,
    start: StartOption = False,
    request_id: Annotated[
        str | None, typer.Option("--request-id", help="Sent again with the same id, it is the first campaign.")
    ] = None,
    api_url: ApiUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a campaign from a definition file, from options, or from a file that options change.

    Exit code 6: some leads were refused; the others are there, and --start has started it.
    """

    async def work(api: "Api") -> int:
        from breeze_buddy.cli.campaign_creation import Leads, create_campaign, definition

        given = {
            "name": name,
            "numbers": numbers,
            "max_concurrent_calls": max_concurrent,
            "calls_per_second": calls_per_second,
            "weight": weight,
            "start_at": start_at,
            "request_id": request_id,
        }
        body = definition(file, template=template, template_file=template_file, **given)
        leads = Leads.of(csv, column_map, default_country, refusals)
        return await create_campaign(api, body, leads, start=start, as_json=as_json)

    talk(context, api_url, work)


@app.command("upload")
def upload(
    context: typer.Context,
    campaign: CampaignArgument,
    csv: Annotated[Path, typer.Argument(metavar="FILE", help="Leads, as CSV with a header; - is stdin.")],
    column_map: MapOption = None,
    default_country: CountryOption = None,
    refusals: RefusalsOption = None,
    api_url: ApiUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add leads to a campaign, also while it runs. Exit code 6: some rows were refused."""

    async def work(api: "Api") -> int:
        from breeze_buddy.cli.campaign_creation import Leads, upload_leads
        from breeze_buddy.cli.upload import print_upload

        leads = Leads.of(csv, column_map, default_country, refusals)
        assert leads is not None
        return print_upload(await upload_leads(api, campaign, leads), what="leads", as_json=as_json)

    talk(context, api_url, work)


@app.command("list")
def list_campaigns(
    context: typer.Context,
    status: Annotated[str | None, typer.Option("--status", help="Only those, as RUNNING.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="At most so many.")] = 50,
    api_url: ApiUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """List campaigns, the newest first."""

    async def work(api: "Api") -> None:
        from breeze_buddy.cli.printing import console, moment, print_json, table

        found = await api.get("/campaigns", status=status, limit=limit)
        if as_json:
            print_json(found)
            return
        rows = [
            (one["name"], one["status"], one["template_name"], one["open_leads"], moment(one["created_at"]), one["id"])
            for one in found
        ]
        headings = ("name", "status", "template", "open leads", "created", "id")
        console().print(table(headings, rows) if rows else "There is no campaign.")

    talk(context, api_url, work)


def _add_verb(name: str, what_it_does: str) -> None:
    """A command that tells the campaign so and prints where it stands."""

    @app.command(name, help=what_it_does)
    def tell(
        context: typer.Context, campaign: CampaignArgument, api_url: ApiUrlOption = None, as_json: JsonOption = False
    ) -> None:
        talk(context, api_url, lambda api: _tell(api, campaign, name, as_json=as_json))


_add_verb("start", "Start dialling. Starting a running campaign changes nothing.")
_add_verb("pause", "No new dials; live calls go on.")
_add_verb("resume", "Dial again after a pause.")


@app.command("cancel")
def cancel(
    context: typer.Context,
    campaign: CampaignArgument,
    let_finish: Annotated[bool, typer.Option("--let-finish", help="Let live calls come to their end.")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; kept with the campaign.")] = None,
    api_url: ApiUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a campaign for good: waiting leads finish as CANCELLED, live calls are hung up unless --let-finish."""
    from breeze_buddy.cli.options import cancel_request

    body = cancel_request(let_finish=let_finish, reason=reason)
    talk(context, api_url, lambda api: _tell(api, campaign, "cancel", body, as_json=as_json))


@app.command("redial")
def redial(
    context: typer.Context,
    campaign: CampaignArgument,
    outcomes: OutcomeOption = None,
    api_url: ApiUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Call finished leads again that ended with a chosen outcome."""

    async def work(api: "Api") -> None:
        from breeze_buddy.cli.errors import OptionError
        from breeze_buddy.cli.printing import print_json

        if not outcomes:
            raise OptionError("say which leads: --outcome NO_ANSWER (repeat it for more)")
        answer = await api.post(f"/campaigns/{campaign}/redial", {"outcomes": outcomes})
        if as_json:
            print_json(answer)
        else:
            print(f"{answer['redialled']} leads are called again; {_sentence(answer['campaign'])}")

    talk(context, api_url, work)


@app.command("clone")
def clone(
    context: typer.Context,
    campaign: CampaignArgument,
    name: Annotated[str | None, typer.Option("--name", help="Of the new campaign.")] = None,
    leads: Annotated[
        Literal["none", "all"] | None, typer.Option("--leads", help="Whether its leads come along; by default none.")
    ] = None,
    outcomes: OutcomeOption = None,
    start_at: StartAtOption = None,
    start: StartOption = False,
    api_url: ApiUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a new campaign like another one: without its leads, with all, or with those of chosen outcomes."""

    async def work(api: "Api") -> None:
        from breeze_buddy.cli.errors import OptionError
        from breeze_buddy.cli.printing import print_json

        if leads is not None and outcomes:
            raise OptionError("give --leads or --outcome, not both")
        body: dict[str, Any] = {"leads": outcomes or leads or "none"}
        body |= {key: value for key, value in (("name", name), ("start_at", start_at)) if value is not None}
        made = await api.post(f"/campaigns/{campaign}/clone", body)
        if start:
            made = await api.post(f"/campaigns/{made['id']}/start")
        if as_json:
            print_json(made)
        else:
            print(_sentence(made))

    talk(context, api_url, work)


@app.command("watch")
def watch(
    context: typer.Context,
    campaign: CampaignArgument,
    every: Annotated[float, typer.Option("--every", min=0.1, help="Seconds between two looks.")] = 1.0,
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=0, help="Seconds until it stops watching; exit code 1.")
    ] = None,
    exit_on_pause: Annotated[
        bool, typer.Option("--exit-on-pause", help="End also when the campaign is paused; exit code 7.")
    ] = False,
    api_url: ApiUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how a campaign goes until it ends: 0 when it has completed, 7 when it was cancelled.

    On a terminal a live picture; elsewhere a line at each change; with --json one document a line.
    """

    async def work(api: "Api") -> int:
        from breeze_buddy.cli.campaign_watch import watch_campaign

        return await watch_campaign(
            api, campaign, every_s=every, timeout_s=timeout, exit_on_pause=exit_on_pause, as_json=as_json
        )

    talk(context, api_url, work)


@app.command("results")
def results(
    context: typer.Context,
    campaign: CampaignArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; without: stdout. It is there when whole.")
    ] = None,
    calls: Annotated[bool, typer.Option("--calls", help="One row a call instead of one a lead.")] = False,
    api_url: ApiUrlOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document a line instead of CSV.")] = False,
) -> None:
    """Write the results as CSV, with one row a lead: outcome, answers, variables, the last call's facts."""

    async def work(api: "Api") -> None:
        from breeze_buddy.cli.campaign_results import write_results

        await write_results(api, campaign, rows="calls" if calls else "leads", output=output, as_json=as_json)

    talk(context, api_url, work)


async def _tell(api: "Api", campaign: str, what: str, body: Any = None, *, as_json: bool) -> None:
    from breeze_buddy.cli.printing import print_json

    answer = await api.post(f"/campaigns/{campaign}/{what}", body)
    if as_json:
        print_json(answer)
    else:
        print(_sentence(answer))


def _sentence(campaign: Any) -> str:
    because = f" ({campaign['status_reason']})" if campaign.get("status_reason") else ""
    return f"campaign {campaign['id']} is {campaign['status']}{because}, {campaign['open_leads']} open leads"
