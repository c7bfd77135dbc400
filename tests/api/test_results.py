"""Results as CSV: one row a lead, one a call, and nothing that a spreadsheet runs."""

import csv
import io

import pytest

from breeze_buddy.api.spreadsheet import safe_cell
from breeze_buddy.domain.conversation import ConversationReport, Ending
from breeze_buddy.store import conversations
from tests.api.house import House, person


async def table(house: House, campaign_id: str, **query: str) -> list[dict[str, str]]:
    answer = await house.get(f"/campaigns/{campaign_id}/results", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


async def test_a_row_a_lead_and_a_row_a_call(house: House) -> None:
    lead_id, call_id = await house.dialled_call()
    now = house.database.now()
    report = ConversationReport(
        call_id=call_id,
        began_at=now,
        ended_at=now,
        ending=Ending.REACHED_END,
        result="confirmed",
        answers={"order": "=cmd()"},
    )
    async with house.database.write() as tx:
        await conversations.save_report(tx, report, now=now)
    lead = await house.lead(lead_id)
    (row,) = await table(house, lead["campaign_id"])
    assert (row["id"], row["phone"], row["status"], row["outcome"]) == (lead_id, person(0), "PROCESSING", "")
    assert (row["result"], row["answers.order"], row["variables.name"]) == ("confirmed", "'=cmd()", "Ada")
    assert (row["calls"], row["call.id"], row["call.to_phone"]) == ("1", call_id, person(0))
    assert row["created_at"].endswith("Z")
    (call,) = await table(house, lead["campaign_id"], rows="calls")
    assert (call["lead_id"], call["id"], call["ending"]) == (lead_id, call_id, "reached_end")
    assert (call["result"], call["answers.order"]) == ("confirmed", "'=cmd()")


async def test_more_leads_than_a_page_has_come_in_one_file(house: House) -> None:
    campaign_id = await house.campaign()
    rows = [f"+1212{5550000 + n},Person {n}" for n in range(450)]
    text = "\n".join(["phone,name", *rows])
    await house.ask("POST", f"/campaigns/{campaign_id}/leads", content=text, headers={"Content-Type": "text/csv"})
    found = await table(house, campaign_id)
    assert [(row["phone"], row["variables.name"]) for row in found] == [tuple(row.split(",")) for row in rows]
    assert await table(house, campaign_id, rows="calls") == []


async def test_a_campaign_without_leads_has_a_header(house: House) -> None:
    answer = await house.get(f"/campaigns/{await house.campaign()}/results")
    assert answer.text.startswith("id,phone,status,outcome,attempts")
    assert answer.text.count("\n") == 1


async def test_results_of_no_campaign_are_not_found(house: House) -> None:
    assert (await house.get("/campaigns/none/results")).status_code == 404
    campaign_id = await house.campaign()
    assert (await house.get(f"/campaigns/{campaign_id}/results", params={"rows": "x"})).status_code == 422


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3+cmd", "'-2+3+cmd"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("+1 212 555", "'+1 212 555"),
        ("+12125551000", "+12125551000"),
        ("-12.50", "-12.50"),
        ("+12125551000\n=1", "'+12125551000\n=1"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_only_what_a_spreadsheet_would_calculate_is_marked(text: str, cell: str) -> None:
    assert safe_cell(text) == cell
