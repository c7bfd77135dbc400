"""Files of leads that are written while they are read: progress, what breaks off, duplicates, headers of others."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from starlette.types import Message, Scope

from breeze_buddy.activities.uploading import PAGE_ROWS
from breeze_buddy.settings import PREFIX
from breeze_buddy.store import uploads
from breeze_buddy.store.database import Database
from tests.api.house import House, person


def rows_of(count: int, *, first: int = 0) -> list[str]:
    return [f"+1212{5550000 + n},Person {n}" for n in range(first, first + count)]


def file_of(rows: list[str], header: str = "phone,name") -> str:
    return "\n".join([header, *rows, ""])


async def upload(house: House, campaign_id: str, text: str | bytes, **query: str) -> httpx.Response:
    return await house.ask(
        "POST", f"/campaigns/{campaign_id}/leads", content=text, headers={"Content-Type": "text/csv"}, params=query
    )


async def uploaded(house: House, campaign_id: str, text: str | bytes, **query: str) -> dict[str, Any]:
    answer = await upload(house, campaign_id, text, **query)
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


async def only_upload(house: House, campaign_id: str) -> dict[str, Any]:
    (found,) = (await house.get(f"/campaigns/{campaign_id}/uploads")).json()
    assert found == (await house.get(f"/uploads/{found['id']}")).json()
    return dict(found)


async def refusals(house: House, upload_id: str) -> list[list[str]]:
    answer = await house.get(f"/uploads/{upload_id}/refusals")
    assert "attachment" in answer.headers["content-disposition"]
    return list(csv.reader(io.StringIO(answer.text, newline="")))


class Sender:
    """A client that sends a body piece by piece, when it is told to, and may go away in the middle."""

    def __init__(self, house: House, path: str) -> None:
        self._house = house
        self._path = path
        self._pieces: asyncio.Queue[Message] = asyncio.Queue()
        self._read = asyncio.Event()
        self._answers: list[Message] = []

    async def __aenter__(self) -> "Sender":
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "path": PREFIX + self._path,
            "raw_path": (PREFIX + self._path).encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "headers": [(b"content-type", b"text/csv"), (b"host", b"api.internal")],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8000),
        }
        self._task = asyncio.create_task(self._house.app(scope, self._receive, self._send))
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.wait_for(self._task, 30)

    async def _receive(self) -> Message:
        if self._pieces.empty():
            self._read.set()
        return await self._pieces.get()

    async def _send(self, message: Message) -> None:
        self._answers.append(message)

    async def send(self, text: str) -> None:
        """Returns when it was read, and all that follows from it has been done."""
        self._read.clear()
        self._pieces.put_nowait({"type": "http.request", "body": text.encode(), "more_body": True})
        await asyncio.wait_for(self._read.wait(), 30)

    def break_off(self) -> None:
        self._pieces.put_nowait({"type": "http.disconnect"})

    def end(self) -> None:
        self._pieces.put_nowait({"type": "http.request", "body": b"", "more_body": False})


async def test_an_upload_can_be_watched_while_it_is_read(house: House) -> None:
    campaign_id = await house.campaign()
    async with Sender(house, f"/campaigns/{campaign_id}/leads") as sender:
        await sender.send("phone,name\n")
        assert (await only_upload(house, campaign_id))["status"] == "RUNNING"
        await sender.send("\n".join([*rows_of(PAGE_ROWS), "12,Bad", ""]))
        half = await only_upload(house, campaign_id)
        assert (half["status"], half["rows"], half["accepted"]) == ("RUNNING", PAGE_ROWS, PAGE_ROWS)
        assert (
            len((await house.get(f"/campaigns/{campaign_id}/leads", params={"limit": 1000})).json()["items"])
            == PAGE_ROWS
        )
        sender.end()
    done = await only_upload(house, campaign_id)
    assert (done["status"], done["rows"], done["accepted"], done["refused"]) == ("DONE", PAGE_ROWS + 1, PAGE_ROWS, 1)
    assert done["ended_at"] is not None


async def test_a_broken_connection_keeps_what_came_and_the_file_again_brings_the_rest(house: House) -> None:
    campaign_id = await house.campaign()
    rows = rows_of(PAGE_ROWS + 300)
    async with Sender(house, f"/campaigns/{campaign_id}/leads") as sender:
        await sender.send(file_of(rows))
        sender.break_off()
    broken = await only_upload(house, campaign_id)
    assert (broken["status"], broken["accepted"]) == ("FAILED", PAGE_ROWS)
    assert "send the file again" in broken["error"]
    again = await uploaded(house, campaign_id, file_of(rows))
    assert (again["accepted"], again["duplicates"], again["refused_count"]) == (300, PAGE_ROWS, 0)


async def test_a_file_that_is_spoilt_after_many_rows_says_where_and_keeps_what_came_before(house: House) -> None:
    campaign_id = await house.campaign()
    rows = rows_of(PAGE_ROWS + 700)
    rows[PAGE_ROWS + 600] = '+12125550000,"Open'
    answer = await upload(house, campaign_id, file_of(rows))
    assert (answer.status_code, answer.json()["detail"][0]["type"]) == (422, "malformed_csv")
    failed = await only_upload(house, campaign_id)
    assert failed["status"] == "FAILED"
    assert failed["error"] == answer.json()["detail"][0]["msg"]
    assert failed["accepted"] >= PAGE_ROWS


async def test_an_upload_whose_server_died_is_shown_as_failed(house: House, sqlite_database: Database) -> None:
    campaign_id = await house.campaign()
    async with sqlite_database.write() as tx:
        long_ago = sqlite_database.now() - uploads.STALLED - timedelta(seconds=1)
        await uploads.begin(tx, campaign_id, file_name="leads.csv", now=long_ago)
    found = await only_upload(house, campaign_id)
    assert (found["status"], found["file_name"]) == ("FAILED", "leads.csv")
    assert "send the file again" in found["error"]


async def test_one_phone_is_one_lead_of_a_campaign_however_it_is_written(house: House) -> None:
    campaign_id = await house.campaign()
    first = await uploaded(house, campaign_id, f"phone,name\n{person(0)},Ada\n+1 212-555-1000,Ada again\n")
    assert (first["accepted"], first["duplicates"], first["refused"]) == (1, 1, [])
    second = await uploaded(
        house, campaign_id, f"phone,name\n(212) 555-1000,Ada\n{person(1)},Bob\n", default_country="US"
    )
    assert (second["accepted"], second["duplicates"]) == (1, 1)
    assert [row[:2] for row in await refusals(house, second["upload_id"])] == [["line", "field"], ["2", "phone"]]


async def test_a_row_that_was_refused_does_not_make_the_corrected_one_a_duplicate(house: House) -> None:
    campaign_id = await house.campaign()
    text = f"phone,name,request_id\n{person(0)},,r1\n{person(0)},Ada,r1\n{person(1)},Bob,r1\n"
    said = await uploaded(house, campaign_id, text)
    assert (said["accepted"], said["duplicates"], said["refused"][0]["line"]) == (1, 1, 2)
    assert [row[:2] for row in (await refusals(house, said["upload_id"]))[1:]] == [
        ["2", "variables"],
        ["4", "request_id"],
    ]


async def test_all_refusals_can_be_downloaded_and_no_spreadsheet_runs_them(house: House) -> None:
    campaign_id = await house.campaign()
    bad = ["=1+1,Eve"] + [f"12,Person {n}" for n in range(PAGE_ROWS * 2)]
    said = await uploaded(house, campaign_id, file_of(bad))
    assert (said["refused_count"], len(said["refused"])) == (PAGE_ROWS * 2 + 1, 100)
    found = await refusals(house, said["upload_id"])
    assert found[0] == ["line", "field", "reason"]
    assert [int(row[0]) for row in found[1:]] == list(range(2, PAGE_ROWS * 2 + 3))
    assert not [cell for row in found for cell in row if cell.startswith(("=", "+", "-", "@"))]


async def test_columns_of_another_system_are_mapped(house: House) -> None:
    campaign_id = await house.campaign()
    text = "Telefon,Vorname,Notiz\n098765 43210,Asha,private\n"
    query = {"map.Telefon": "phone", "map.Vorname": "name", "map.Notiz": "", "default_country": "IN"}
    said = await uploaded(house, campaign_id, text, **query)
    assert (said["accepted"], said["refused"]) == (1, [])
    (lead,) = (await house.get(f"/campaigns/{campaign_id}/leads")).json()["items"]
    assert (lead["phone"], lead["variables"]) == ("+919876543210", {"name": "Asha"})


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ({"map.Handy": "phone"}, "Handy"),
        ({"map.name": "phone"}, "phone"),
        ({"map.phone": ""}, "one of them phone"),
    ],
)
async def test_a_mapping_that_does_not_fit_the_header_is_refused(house: House, query: dict[str, str], why: str) -> None:
    campaign_id = await house.campaign()
    answer = await upload(house, campaign_id, file_of(rows_of(1)), **query)
    assert answer.status_code == 422
    assert why in answer.json()["detail"][0]["msg"]


async def test_times_of_a_row_are_kept_and_those_that_cannot_be_are_refused(house: House) -> None:
    campaign_id = await house.campaign()
    text = (
        "phone,name,not_before,expires_at\n"
        f"{person(0)},Ada,2100-01-01T09:00:00+05:30,2100-01-02T00:00:00Z\n"
        f"{person(1)},Bob,2100-01-01T09:00:00,\n"
        f"{person(2)},Cy,2100-01-02T00:00:00Z,2100-01-01T00:00:00Z\n"
    )
    said = await uploaded(house, campaign_id, text)
    assert [(item["line"], item["field"]) for item in said["refused"]] == [(3, "not_before"), (4, "")]
    (lead,) = (await house.get(f"/campaigns/{campaign_id}/leads")).json()["items"]
    assert (lead["not_before"], lead["expires_at"]) == ("2100-01-01T03:30:00Z", "2100-01-02T00:00:00Z")
    assert lead["due_at"] >= lead["not_before"]


async def test_the_name_of_a_file_of_a_form_is_kept(house: House) -> None:
    campaign_id = await house.campaign()
    file = {"file": ("leads of July.csv", file_of(rows_of(2)), "text/csv")}
    await house.ask("POST", f"/campaigns/{campaign_id}/leads", files=file)
    assert (await only_upload(house, campaign_id))["file_name"] == "leads of July.csv"


async def test_a_large_file_of_a_form_is_read_as_it_comes(house: House) -> None:
    """Cut anywhere, also inside of a boundary, a character and a quoted cell."""
    campaign_id = await house.campaign()
    rows = [f'{row}ß,"a, ""b""\nc"' for row in rows_of(PAGE_ROWS + 10)]
    body = (
        '--b\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
        '--b\r\nContent-Disposition: form-data; name="file"; filename="l.csv"\r\n\r\n'
        + file_of(rows, header="\ufeffphone,name,more")
        + "\r\n--b--\r\n"
    ).encode()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 7):
            yield body[start : start + 7]

    answer = await house.ask(
        "POST",
        f"/campaigns/{campaign_id}/leads",
        content=pieces(),
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert (answer.status_code, answer.json()["accepted"]) == (200, PAGE_ROWS + 10)
    (lead, *_) = (await house.get(f"/campaigns/{campaign_id}/leads")).json()["items"]
    assert lead["variables"]["name"].endswith("ß")
    assert lead["variables"]["more"] == 'a, "b"\nc'


async def test_two_uploads_of_one_file_at_once_bring_each_lead_once(house: House) -> None:
    campaign_id = await house.campaign()
    text = file_of(rows_of(PAGE_ROWS * 2))
    both = await asyncio.gather(uploaded(house, campaign_id, text), uploaded(house, campaign_id, text))
    assert sum(said["accepted"] for said in both) == PAGE_ROWS * 2
    assert (await house.get(f"/campaigns/{campaign_id}")).json()["open_leads"] == PAGE_ROWS * 2


async def test_a_running_campaign_is_woken_after_the_first_page_and_at_the_end(house: House) -> None:
    campaign_id = await house.campaign()
    await house.post(f"/campaigns/{campaign_id}/start")
    before = len(await house.signals_of_workflow(f"campaign-{campaign_id}"))
    await uploaded(house, campaign_id, file_of(rows_of(PAGE_ROWS * 3)))
    signals = await house.signals_of_workflow(f"campaign-{campaign_id}")
    assert signals[before:] == ["leads_added", "leads_added"]


@pytest.mark.parametrize("path", ["/campaigns/none/uploads", "/uploads/none", "/uploads/none/refusals"])
async def test_what_is_not_there_is_not_found(house: House, path: str) -> None:
    assert (await house.get(path)).status_code == 404


async def test_a_file_for_a_campaign_that_is_not_there_is_not_read(house: House) -> None:
    assert (await upload(house, "none", file_of(rows_of(1)))).status_code == 404
