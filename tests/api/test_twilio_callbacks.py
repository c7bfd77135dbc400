"""Twilio's callbacks as they arrive: signed or not, whole or not, once or again."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from breeze_buddy.store import schema
from tests.api.house import AUTH_TOKEN, PUBLIC_URL, House

STAMP = "Tue, 21 Jul 2026 12:00:00 +0000"
FORMS: dict[str, dict[str, str]] = {
    "status": {
        "CallSid": "CA1",
        "AccountSid": "AC0",
        "CallStatus": "completed",
        "SequenceNumber": "3",
        "Timestamp": STAMP,
        "CallDuration": "20",
        "From": "+14155550000",
    },
    "details": {
        "CallSid": "CA1",
        "RecordingSid": "RE1",
        "RecordingStatus": "completed",
        "RecordingUrl": "https://api.twilio.com/RE1",
        "RecordingDuration": "19",
        "RecordingChannels": "2",
        "RecordingStartTime": STAMP,
    },
    "amd": {"CallSid": "CA1", "AnsweredBy": "machine_start", "MachineDetectionDuration": "3000"},
}
TWIML = ("answer", "twiml-fallback", "continue")
EVERY = (*FORMS, *TWIML)


def form_of(name: str) -> dict[str, str]:
    return FORMS.get(name, {"CallSid": "CA1", "CallStatus": "in-progress"})


async def everything(house: House) -> dict[str, list[Any]]:
    async with house.database.read() as tx:
        return {
            table.name: sorted(map(tuple, await tx.execute(select(table))), key=repr)
            for table in schema.metadata.sorted_tables
        }


@pytest.mark.parametrize("name", EVERY)
async def test_a_signed_request_is_believed(house: House, name: str) -> None:
    _, call_id = await house.dialled_call()
    answer = await house.twilio(name, call_id, form_of(name))
    assert answer.status_code == (200 if name in TWIML else 204)


@pytest.mark.parametrize("name", EVERY)
async def test_a_request_that_twilio_did_not_sign_is_403_and_changes_nothing(house: House, name: str) -> None:
    lead_id, call_id = await house.dialled_call()
    before, signals = await everything(house), await house.signals_of(lead_id)
    form = form_of(name)
    path = f"/twilio/callback/{name}?lead_id=x&call_id={call_id}"
    good = house.signature(path, form)
    attempts: dict[str, tuple[dict[str, str], str]] = {
        "unsigned": (form, ""),
        "altered": ({**form, "CallSid": "CA2"}, good),
        "with a field more": ({**form, "Extra": "1"}, good),
        "with a field less": ({key: value for key, value in form.items() if key != "CallSid"}, good),
        "by another token": (form, house.signature(path, form, token=AUTH_TOKEN[::-1])),
        "for another call": (form, house.signature(f"{path}0", form)),
        "for another route": (form, house.signature(path.replace(name, "other"), form)),
        "for another host": (form, house.signature(path, form, origin="https://evil.example.com")),
        "for the address inside": (form, house.signature(path, form, origin="http://api.internal:8000")),
        "nonsense": (form, "nonsense"),
        "half": (form, good[: len(good) // 2]),
    }
    for what, (sent, signature) in attempts.items():
        answer = await house.twilio(name, call_id, sent, signature=signature)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), what
    assert await everything(house) == before
    assert await house.signals_of(lead_id) == signals


async def test_without_an_auth_token_nothing_is_believed(house: House) -> None:
    from pydantic import SecretStr

    bare = House(house.settings.model_copy(update={"twilio_auth_token": SecretStr("")}), house.database, house.temporal)
    _, call_id = await house.dialled_call()
    path = f"/twilio/callback/status?lead_id=x&call_id={call_id}"
    for token in (AUTH_TOKEN, ""):
        signature = house.signature(path, FORMS["status"], token=token)
        assert (await bare.twilio("status", call_id, FORMS["status"], signature=signature)).status_code == 403
    await bare.close()


@pytest.mark.parametrize(
    ("public_url", "signed_as"),
    [
        (PUBLIC_URL, PUBLIC_URL),
        (PUBLIC_URL, f"{PUBLIC_URL}:443"),
        (f"{PUBLIC_URL}:443", PUBLIC_URL),
        (f"{PUBLIC_URL}:8443", f"{PUBLIC_URL}:8443"),
        (f"{PUBLIC_URL}/voice/", f"{PUBLIC_URL}/voice"),
        ("http://calls.example.com", "http://calls.example.com:80"),
    ],
)
async def test_behind_a_proxy_the_public_address_is_what_counts(house: House, public_url: str, signed_as: str) -> None:
    """The proxy ends TLS and takes the prefix away: what arrives is http, another host, another path."""
    proxied = House(house.settings.model_copy(update={"public_url": public_url}), house.database, house.temporal)
    _, call_id = await house.dialled_call()
    path = f"/twilio/callback/status?lead_id=x&call_id={call_id}"
    signature = house.signature(path, FORMS["status"], origin=signed_as)
    answer = await proxied.twilio("status", call_id, FORMS["status"], signature=signature)
    assert answer.status_code == 204
    # Headers that anybody can send tell nothing.
    forged = house.signature(path, FORMS["status"], origin="https://evil.example.com")
    answer = await proxied.twilio(
        "status", call_id, FORMS["status"], signature=forged, **{"X-Forwarded-Host": "evil.example.com"}
    )
    assert answer.status_code == 403
    await proxied.close()


async def test_the_end_of_a_call_is_kept_and_told(house: House) -> None:
    lead_id, call_id = await house.dialled_call()
    await house.twilio("status", call_id, FORMS["status"])
    call = (await house.get(f"/calls/{call_id}")).json()
    assert (call["sid"], call["status"], call["duration_s"], call["progress"]) == ("CA1", "completed", 20, "dialled")
    assert call["ended_at"] == "2026-07-21T12:00:00Z"
    assert await house.signals_of(lead_id) == ["grant", "call_ended"]


async def test_a_machine_that_answers_is_kept_and_told(house: House) -> None:
    lead_id, call_id = await house.dialled_call()
    await house.twilio("amd", call_id, FORMS["amd"])
    assert (await house.get(f"/calls/{call_id}")).json()["answered_by"] == "machine"
    assert await house.signals_of(lead_id) == ["grant", "machine_answered"]


async def test_a_recording_after_the_decision_is_kept_and_told(house: House) -> None:
    lead_id, call_id = await house.dialled_call()
    await house.twilio("status", call_id, FORMS["status"])
    await house.finish(call_id)
    await house.twilio("details", call_id, FORMS["details"])
    recording = (await house.get(f"/calls/{call_id}")).json()["recording"]
    assert (recording["sid"], recording["status"], recording["channels"]) == ("RE1", "completed", 2)
    assert await house.signals_of(lead_id) == ["grant", "call_ended", "recording_ready"]


@pytest.mark.parametrize("name", FORMS)
async def test_a_callback_delivered_again_is_acknowledged_and_does_nothing(house: House, name: str) -> None:
    lead_id, call_id = await house.dialled_call()
    token = {"I-Twilio-Idempotency-Token": "t1"}
    assert (await house.twilio(name, call_id, FORMS[name], **token)).status_code == 204
    before, signals = await everything(house), await house.signals_of(lead_id)
    for headers in (token, token):
        assert (await house.twilio(name, call_id, FORMS[name], **headers)).status_code == 204
    assert await everything(house) == before
    assert await house.signals_of(lead_id) == signals


@pytest.mark.parametrize("name", [*FORMS, "answer", "continue"])
async def test_an_unknown_call_is_404_and_nothing_is_kept(house: House, name: str) -> None:
    await house.dialled_call()
    before = await everything(house)
    answer = await house.twilio(name, "nobody", form_of(name))
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert await everything(house) == before


async def test_a_callback_that_names_no_call_is_422(house: House) -> None:
    path = "/twilio/callback/status"
    signed = {"X-Twilio-Signature": house.signature(path, FORMS["status"])}
    transport = httpx.ASGITransport(house.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        answer = await client.post(path, data=FORMS["status"], headers=signed)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", "call_id"]


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("status", "CallSid"),
        ("status", "CallStatus"),
        ("details", "RecordingSid"),
        ("details", "RecordingStatus"),
        ("amd", "AnsweredBy"),
    ],
)
async def test_a_callback_without_what_it_is_about_is_422_and_names_it(house: House, name: str, missing: str) -> None:
    _, call_id = await house.dialled_call()
    before = await everything(house)
    form = {key: value for key, value in FORMS[name].items() if key != missing}
    for sent in (form, {**form, missing: ""}):
        answer = await house.twilio(name, call_id, sent)
        assert answer.status_code == 422
        assert [problem["loc"] for problem in answer.json()["detail"]] == [["body", missing]]
    assert await everything(house) == before


@pytest.mark.parametrize(
    ("name", "odd"),
    [
        ("status", {"CallStatus": "teleported"}),
        ("status", {"CallDuration": "a while", "SequenceNumber": "-1", "Timestamp": "yesterday"}),
        ("status", {"CallDuration": "9" * 40, "SipResponseCode": "1e3"}),
        ("status", {"New": "field", "Caller": "\u202eÄ\x01 ☎"}),
        ("details", {"RecordingStatus": "levitating", "RecordingDuration": "-1", "RecordingChannels": "two"}),
        ("amd", {"AnsweredBy": "a_parrot"}),
    ],
)
async def test_fields_that_cannot_be_read_cost_only_themselves(house: House, name: str, odd: dict[str, str]) -> None:
    _, call_id = await house.dialled_call()
    assert (await house.twilio(name, call_id, {**FORMS[name], **odd})).status_code == 204
    call = (await house.get(f"/calls/{call_id}")).json()
    assert call["sid"] == "CA1" or name == "details"
    async with house.database.read() as tx:
        (kept,) = await tx.scalars(select(schema.callbacks.c.fields))
    assert kept == {**FORMS[name], **odd}


async def test_a_name_that_comes_twice_is_signed_with_all_its_values(house: House) -> None:
    _, call_id = await house.dialled_call()
    path = f"/twilio/callback/status?lead_id=x&call_id={call_id}"
    body = "&".join(f"{key}={value}" for key, value in FORMS["status"].items()).replace("+", "%2B").replace(" ", "%20")
    from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

    class Twice(dict[str, Any]):
        def getall(self, name: str) -> list[str]:
            value = self[name]
            return value if isinstance(value, list) else [value]

    fields = Twice({**FORMS["status"], "Tag": ["a", "b"]})
    signature = RequestValidator(AUTH_TOKEN).compute_signature(PUBLIC_URL + path, fields)
    transport = httpx.ASGITransport(house.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
        good = await client.post(path, content=f"{body}&Tag=a&Tag=b", headers=headers)
        bad = await client.post(path, content=f"{body}&Tag=a&Tag=c", headers=headers)
    assert (good.status_code, bad.status_code) == (204, 403)


async def endless() -> AsyncIterator[bytes]:
    yield b"CallSid=CA1&CallStatus="
    for _ in range(100):
        yield b"x" * 10_000


async def test_nobody_fills_our_memory_with_an_unsigned_form(house: House) -> None:
    transport = httpx.ASGITransport(house.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        answer = await client.post(
            "/twilio/callback/status?call_id=x",
            content=endless(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
    assert answer.status_code == 413
