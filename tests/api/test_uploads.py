"""Leads in bulk: CSV, a file of a form, JSON."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.api.house import House, person


async def upload(house: House, campaign_id: str, text: str | bytes, kind: str = "text/csv") -> httpx.Response:
    data = text.encode() if isinstance(text, str) else text
    return await house.ask("POST", f"/campaigns/{campaign_id}/leads", content=data, headers={"Content-Type": kind})


async def listed(house: House, campaign_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await house.get(f"/campaigns/{campaign_id}/leads")).json()["items"]
    return found


def taken(answer: httpx.Response) -> tuple[int, int, list[tuple[int, str]]]:
    assert answer.status_code == 200, answer.text
    said = answer.json()
    return said["accepted"], said["duplicates"], [(item["line"], item["field"]) for item in said["refused"]]


async def test_a_csv_becomes_leads(house: House) -> None:
    campaign_id = await house.campaign()
    text = (
        "phone,name,time_zone,priority,request_id,city\n"
        f"{person(0)},Ada,Asia/Kolkata,5,r1,Pune\n"
        "+1 (212) 555-1001 ,  Grace ,,,,\n"
    )
    assert taken(await upload(house, campaign_id, text)) == (2, 0, [])
    first, second = sorted(await listed(house, campaign_id), key=lambda lead: lead["phone"])
    assert (first["time_zone"], first["priority"], first["request_id"]) == ("Asia/Kolkata", 5, "r1")
    assert first["variables"] == {"name": "Ada", "city": "Pune"}
    assert (second["phone"], second["variables"]) == (person(1), {"name": "Grace"})
    assert (second["time_zone"], second["priority"], second["request_id"]) == (None, 0, None)


async def test_every_refused_row_is_named_with_its_line_field_and_reason(house: House) -> None:
    campaign_id = await house.campaign()
    text = "\n".join(
        [
            "phone,name,priority,time_zone,request_id",
            f"{person(0)},Ada,,,a",  # line 2: good
            "12345,Bob,,,",
            f"{person(1)},,,,",
            f"{person(2)},Cy,urgent,,",
            "",
            f"{person(3)},Di,,Moon,",  # line 7, after an empty one
            f"{person(4)},Ed",
            ",Flo,,,",
            f"{person(5)},Gus,500,,",
            f"{person(6)},Hal,,,a",  # the request id of line 2
            f'{person(7)},"I, Jo",3,UTC,b',
        ]
    )
    answer = await upload(house, campaign_id, text)
    assert taken(answer) == (
        2,
        1,
        [
            (3, "phone"),
            (4, "variables"),
            (5, "priority"),
            (7, "time_zone"),
            (8, ""),
            (9, "phone"),
            (10, "priority"),
        ],
    )
    reasons = [item["reason"] for item in answer.json()["refused"]]
    for reason, words in zip(
        reasons,
        ("12345", "the template needs name", "integer", "Moon", "2 columns", "no phone number", "100"),
        strict=True,
    ):
        assert words in reason
    assert {lead["variables"]["name"] for lead in await listed(house, campaign_id)} == {"Ada", "I, Jo"}


async def test_a_spreadsheets_csv_is_read_too(house: House) -> None:
    campaign_id = await house.campaign()
    text = '\ufeff"phone","name"\r\n"' + person(0) + '","Ada ""the first""\r\nLovelace"\r\n"1","Bad"\r\n'
    # The row after a cell of two lines is on the fourth line of the file.
    assert taken(await upload(house, campaign_id, text)) == (1, 0, [(4, "phone")])
    (lead,) = await listed(house, campaign_id)
    assert lead["variables"]["name"] == 'Ada "the first"\r\nLovelace'


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "phone"),
        (b"\n\n", "phone"),
        (b"telephone,name\n+12125551000,Ada\n", "telephone"),
        (b"phone;name\n+12125551000;Ada\n", "phone;name"),
        (b"phone,name,name\n+12125551000,Ada,B\n", "name of its own"),
        (b"phone,\n+12125551000,Ada\n", "name of its own"),
        ("phone,name\n+12125551000,Zoë\n".encode("latin-1"), "UTF-8"),
        ("phone,name\n+12125551000,Ada\n".encode("utf-16"), "UTF-8"),
        (b'phone,name\n+12125551000,Ada\n+12125551001,"Bob\n', "line 3"),
        (b'phone,name\n+12125551000,Ada\n+12125551001,"Bob"x\n', "line 3"),
    ],
)
async def test_a_file_that_cannot_be_read_is_refused_whole(house: House, data: bytes, why: str) -> None:
    campaign_id = await house.campaign()
    answer = await upload(house, campaign_id, data)
    assert answer.status_code == 422
    (problem,) = answer.json()["detail"]
    assert (problem["loc"], problem["type"]) == (["body", "file"], "malformed_csv")
    assert why in problem["msg"]
    assert await listed(house, campaign_id) == []


async def test_more_rows_than_allowed_are_refused_whole(house: House) -> None:
    small = House(house.settings.model_copy(update={"upload_max_rows": 3}), house.database, house.temporal)
    campaign_id = await small.campaign()
    rows = [f"{person(n)},Ada" for n in range(4)]
    refused = await upload(small, campaign_id, "\n".join(["phone,name", *rows]))
    assert refused.status_code == 422
    assert "more than 3 rows" in refused.json()["detail"][0]["msg"]
    assert await listed(small, campaign_id) == []
    assert taken(await upload(small, campaign_id, "\n".join(["phone,name", *rows[:3]])))[0] == 3
    await small.close()


async def in_pieces(data: bytes) -> AsyncIterator[bytes]:
    for place in range(0, len(data), 700):
        yield data[place : place + 700]


@pytest.mark.parametrize("says_its_size", [True, False])
@pytest.mark.parametrize("kind", ["text/csv", "application/json", "multipart/form-data; boundary=b"])
async def test_a_body_that_is_too_large_is_refused(house: House, kind: str, says_its_size: bool) -> None:
    bounds = {"upload_max_bytes": 2000, "body_max_bytes": 2000}
    small = House(house.settings.model_copy(update=bounds), house.database, house.temporal)
    campaign_id = await small.campaign()
    data = f"phone,name\n{person(0)},{'x' * 5000}".encode()
    if kind.startswith("multipart"):
        data = b'--b\r\nContent-Disposition: form-data; name="file"; filename="leads.csv"\r\n\r\n' + data
    answer = await small.ask(
        "POST",
        f"/campaigns/{campaign_id}/leads",
        content=data if says_its_size else in_pieces(data),
        headers={"Content-Type": kind},
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert "2000 bytes" in answer.json()["message"]
    assert await listed(small, campaign_id) == []
    # The bound holds for every body, also one that the framework reads.
    big = await small.ask("POST", "/templates", content=in_pieces(data), headers={"Content-Type": "application/json"})
    assert big.status_code == 413
    await small.close()


async def test_a_file_of_a_form_is_taken(house: House) -> None:
    campaign_id = await house.campaign()
    text = f"phone,name\n{person(0)},Ada\nx,Bob\n"
    answer = await house.ask("POST", f"/campaigns/{campaign_id}/leads", files={"file": ("leads.csv", text, "text/csv")})
    assert taken(answer) == (1, 0, [(3, "phone")])


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"no form"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="note"\r\n\r\nhi\r\n--b--\r\n',
        ),
    ],
)
async def test_a_form_without_a_file_is_refused(house: House, kind: str, data: bytes) -> None:
    campaign_id = await house.campaign()
    answer = await upload(house, campaign_id, data, kind)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "file"]


async def test_leads_as_json(house: House) -> None:
    campaign_id = await house.campaign()
    good = {"phone": person(0), "variables": {"name": "Ada", "total": 12}}
    answer = await house.post(f"/campaigns/{campaign_id}/leads", {"leads": [good, {"phone": person(1)}]})
    assert answer.status_code == 200
    said = answer.json()
    assert (said["accepted"], said["duplicates"]) == (1, 0)
    assert [(item["row"], item["field"]) for item in said["refused"]] == [(1, "variables")]
    assert (await listed(house, campaign_id))[0]["variables"] == {"name": "Ada", "total": "12"}


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b'{"leads": [{"phone": "+12125551000"}, {"phone": "x"}]}', ["body", "leads", 1, "phone"]),
        (b'{"leads": []}', ["body", "leads"]),
        (b"{}", ["body", "leads"]),
        (b'{"leads": [{"phone": NaN}]}', ["body", "leads", 0, "phone"]),
        (b'{"leads": [{"phone": "+12125551000", "priority": Infinity}]}', ["body", "leads", 0, "priority"]),
        (b"{", ["body"]),
        (b"", ["body"]),
        (b"\xff", ["body"]),
    ],
)
async def test_json_that_is_no_list_of_leads_is_refused_whole(house: House, data: bytes, where: list[Any]) -> None:
    campaign_id = await house.campaign()
    answer = await upload(house, campaign_id, data, "application/json; charset=utf-8")
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == where
    assert await listed(house, campaign_id) == []


async def test_an_upload_that_is_sent_again_adds_nothing(house: House) -> None:
    campaign_id = await house.campaign()
    text = f"phone,name,request_id\n{person(0)},Ada,a\n{person(1)},Bob,b\n"
    assert taken(await upload(house, campaign_id, text)) == (2, 0, [])
    assert taken(await upload(house, campaign_id, text)) == (0, 2, [])
    assert len(await listed(house, campaign_id)) == 2


async def test_leads_for_a_running_campaign_wake_it_and_for_a_cancelled_one_are_refused(house: House) -> None:
    campaign_id = await house.campaign()
    await house.post(f"/campaigns/{campaign_id}/start")
    text = f"phone,name,request_id\n{person(0)},Ada,a\n"
    await upload(house, campaign_id, text)
    # Sent again, because the first answer was lost: the campaign is woken again, whatever became of the first.
    await upload(house, campaign_id, text)
    assert (await house.signals_of_workflow(f"campaign-{campaign_id}"))[-2:] == ["leads_added", "leads_added"]
    await house.post(f"/campaigns/{campaign_id}/cancel")
    refused = await upload(house, campaign_id, f"phone,name\n{person(1)},Bob\n")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
