"""`breeze campaign create`: the definition put together, leads sent, the campaign started."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from breeze_buddy.cli.api_client import Api
from breeze_buddy.cli.documents import read_document
from breeze_buddy.cli.errors import CommandError, OptionError
from breeze_buddy.cli.exits import ExitCode
from breeze_buddy.cli.options import pairs
from breeze_buddy.cli.printing import print_json, say
from breeze_buddy.cli.upload import print_rows, refused_count, send_file
from breeze_buddy.cli.whole_file import whole_file


@dataclass(frozen=True, slots=True)
class Leads:
    """A CSV file of leads and how it is read. `refusals`: where the rows go that are refused."""

    file: Path
    query: dict[str, str]
    refusals: Path | None

    @classmethod
    def of(
        cls, file: Path | None, column_map: Sequence[str] | None, country: str | None, refusals: Path | None
    ) -> Self | None:
        """What the options say; None without a file. Raises OptionError."""
        if file is None:
            if column_map or country or refusals:
                raise OptionError("--map, --default-country and --refusals are about a file of leads: give --csv FILE")
            return None
        query = {f"map.{column}": field for column, field in pairs("--map", column_map or ()).items()}
        if country is not None:
            query["default_country"] = country
        if str(file) != "-":
            query["file_name"] = file.name
        return cls(file, query, refusals)


def definition(file: Path | None, *, template: str | None, template_file: Path | None, **given: Any) -> dict[str, Any]:
    """The body of `POST /campaigns`: the file's, with `given` in the place of what it says. Raises FileError."""
    if template is not None and template_file is not None:
        raise OptionError("give --template or --template-file, not both")
    body = dict(read_document(file).data) if file is not None else {}
    if template is not None or template_file is not None:
        for name in ("template", "template_id", "template_name"):
            body.pop(name, None)
        if template is not None:
            body["template_name"] = template
        if template_file is not None:
            body["template"] = read_document(template_file).data
    body |= {name: value for name, value in given.items() if value is not None}
    if "name" not in body:
        raise OptionError("the campaign needs a name: --name, or `name` in the definition file")
    return body


async def create_campaign(api: Api, body: dict[str, Any], leads: Leads | None, *, start: bool, as_json: bool) -> int:
    """Create the campaign, send its leads, start it; the exit code. Raises CommandError."""
    made = await api.post("/campaigns", body)
    campaign_id = made["campaign"]["id"]
    uploaded = None
    try:
        if leads is not None:
            uploaded = await upload_leads(api, campaign_id, leads)
        if start:
            await api.post(f"/campaigns/{campaign_id}/start")
    except CommandError:
        say(f"Campaign {campaign_id} was created, but what comes next failed:")
        raise
    campaign = await api.get(f"/campaigns/{campaign_id}")
    if as_json:
        given = {name: made[name] for name in ("accepted", "duplicates", "refused")}
        print_json({"campaign": campaign, "leads": given, "upload": uploaded})
    else:
        print(f"campaign {campaign_id} is {campaign['status']}, {campaign['open_leads']} open leads")
        for answer in (made if body.get("leads") else None, uploaded):
            if answer is not None:
                print_rows(answer, what="leads")
    refused = refused_count(made) + (refused_count(uploaded) if uploaded else 0)
    return ExitCode.IN_PART if refused else ExitCode.DONE


async def upload_leads(api: Api, campaign_id: str, leads: Leads) -> Any:
    """Send the file and fetch the refused rows; the API's answer. Raises CommandError."""
    answer = await send_file(api, f"/campaigns/{campaign_id}/leads", leads.file, leads.query)
    if leads.refusals is not None:
        with whole_file(leads.refusals) as file:
            async with api.download(f"/uploads/{answer['upload_id']}/refusals") as pieces:
                async for piece in pieces:
                    file.write(piece)
    return answer
