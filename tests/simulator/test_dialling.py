"""`<Dial>` and `<Gather>`: other phones are rung, keys are collected, and what follows knows how it went."""

import pytest

from .conference_room import SILENT, hear, until, until_heard

PHONE, OTHER, THIRD = "+14155551111", "+14155552222", "+14155553333"
HANGUP = "<Response><Hangup/></Response>"


def pressing(digits):
    return {"phone": PHONE, "ring_s": 0, "patience_s": 0.2, "script": [{"press": digits}]}


GATHERED = {
    "enough digits": ("12", 'numDigits="2" timeout="5"', "12", None),
    "the finishing key": ("7#", 'timeout="5"', "7", "#"),
    "too long none": ("3", 'timeout="1"', "3", None),
}


@pytest.mark.parametrize("case", GATHERED)
async def test_keys_are_gathered_and_sent_to_the_action(start, customer, case):
    pressed, attributes, digits, key = GATHERED[case]
    lab = await start([pressing(pressed)])
    customer.twiml("/keys", HANGUP)
    document = (
        f'<Response><Gather {attributes} action="{customer.url("/keys")}"><Say>Press a key.</Say></Gather>'
        "<Redirect>http://127.0.0.1:9/never</Redirect></Response>"
    )
    call = await lab.call(PHONE, Twiml=document)
    [asked] = await customer.wait_for("/keys")
    assert (asked.form["Digits"], asked.form.get("FinishedOnKey")) == (digits, key)
    assert (await lab.until_over(call["sid"]))["notifications"] == []


async def test_without_a_key_the_next_verb_follows(start, customer):
    lab = await start([{"phone": PHONE} | SILENT])
    customer.twiml("/none", HANGUP)
    document = (
        f'<Response><Gather timeout="1" action="{customer.url("/keys")}"/>'
        f"<Redirect>{customer.url('/none')}</Redirect></Response>"
    )
    await lab.call(PHONE, Twiml=document)
    await customer.wait_for("/none")
    assert customer.at("/keys") == []


async def test_a_dialled_phone_hears_its_own_document_first_and_then_both_talk(start, customer):
    lab = await start([{"phone": PHONE} | SILENT, {"phone": OTHER, "ring_s": 0.2, "greeting": "Hello, I am here."}])
    customer.twiml("/whisper", "<Response><Pause/></Response>")
    customer.twiml("/done", HANGUP)
    document = (
        f'<Response><Dial action="{customer.url("/done")}">'
        f'<Number url="{customer.url("/whisper")}" statusCallback="{customer.url("/leg")}" '
        f'statusCallbackEvent="ringing answered completed">{OTHER}</Number></Dial></Response>'
    )
    call = await lab.call(PHONE, Twiml=document)
    [whisper] = await customer.wait_for("/whisper")
    child = whisper.form["CallSid"]
    assert (whisper.form["Direction"], whisper.form["ParentCallSid"]) == ("outbound-dial", call["sid"])
    await until_heard(lab, call["sid"], child, sounding_s=0)
    other = lab.simulator.exchange.calls.by_sid[child]
    other.end("completed", 200, "the test")
    [done] = await customer.wait_for("/done")
    assert (done.form["DialCallStatus"], done.form["DialCallSid"]) == ("completed", child)
    heard = [tuple(one["sources"]) for one in (await hear(lab, call["sid"]))["audible"]]
    assert [one for one in heard if one != ("silence",)] == [("ringback",), (child,)]
    assert [leg.form["CallStatus"] for leg in await customer.wait_for("/leg", 3)] == [
        "ringing",
        "in-progress",
        "completed",
    ]


NOBODY = {
    "busy": ({"behaviour": "busy", "ring_s": 0}, "", "busy"),
    "no answer": ({"behaviour": "no_answer", "ring_s": 0.1}, "", "no-answer"),
    "declined by a key": ({"ring_s": 0, "script": []}, HANGUP, "no-answer"),
}


@pytest.mark.parametrize("case", NOBODY)
async def test_nobody_to_talk_to_is_told_to_the_action(start, customer, case):
    person, document, status = NOBODY[case]
    lab = await start([{"phone": PHONE} | SILENT, {"phone": OTHER} | person])
    customer.twiml("/done", HANGUP)
    url = f' url="{customer.twiml("/whisper", document)}"' if document else ""
    call = await lab.call(
        PHONE,
        Twiml=f'<Response><Dial action="{customer.url("/done")}"><Number{url}>{OTHER}</Number></Dial></Response>',
    )
    [done] = await customer.wait_for("/done")
    assert done.form["DialCallStatus"] == status
    await lab.until_over(call["sid"])


async def test_the_first_of_several_phones_wins_and_the_others_stop_ringing(start, customer):
    people = [{"phone": PHONE} | SILENT, {"phone": OTHER, "ring_s": 30}, {"phone": THIRD} | SILENT]
    lab = await start(people)
    document = f"<Response><Dial><Number>{OTHER}</Number><Number>{THIRD}</Number></Dial></Response>"
    call = await lab.call(PHONE, Twiml=document)
    [loser] = await until(lab, lambda: lab.simulator.exchange.calls.by_to.get(OTHER))
    assert (await lab.until_over(loser.sid))["status"] == "canceled"
    [winner] = lab.simulator.exchange.calls.by_to[THIRD]
    path = f"/2010-04-01/Accounts/{call['account_sid']}/Calls/{call['sid']}.json"
    await lab.post(path, {"Status": "completed"}, 200)
    assert (await lab.until_over(winner.sid))["status"] == "completed"
