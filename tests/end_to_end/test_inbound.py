"""People call us, through the whole stack: answered, told, refused, sent on; and a rush of them on few lines."""

import asyncio
import io
import time
import wave
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from temporalio.service import RPCError, RPCStatusCode

from breeze_buddy.domain.messages import inbound_workflow_id

from .stack import Stack, template

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def hotline(stack: Stack, *, channels: int = 4, changes: dict[str, Any] | None = None, **policy: Any) -> str:
    """A number of ours that is answered with this policy."""
    phone = stack.new_phone()
    (await stack.simulator.post("/simulator/numbers", json=[phone])).raise_for_status()
    stored = await stack.post("/templates", template(f"hotline-{uuid4().hex[:8]}", **(changes or {})))
    inbound = {"template_id": stored["id"], **policy}
    await stack.post("/numbers", {"phone": phone, "channels": channels, "inbound": inbound})
    return phone


async def call_us(stack: Stack, number: str, caller: str, **more: Any) -> list[str]:
    """The CallSids, in the order in which they ring."""
    asked = await stack.simulator.post("/simulator/inbound", json={"from": caller, "to": number, **more})
    assert asked.status_code == 201, asked.text
    sids = asked.json()["calls"]
    assert isinstance(sids, list)
    return sids


async def seen(stack: Stack, sid: str) -> dict[str, Any]:
    """The simulator's own record of one call, once it is over."""

    async def over() -> Any:
        call = (await stack.simulator.get(f"/simulator/calls/{sid}")).raise_for_status().json()
        return call if call["times"]["ended"] and all(one["done"] for one in call["callbacks"]) else None

    call = await stack.until(over)
    assert isinstance(call, dict)
    return call


async def heard(stack: Stack, sid: str) -> float:
    """Seconds of sound that the caller heard."""
    record = (await stack.simulator.get(f"/simulator/calls/{sid}/heard")).raise_for_status().json()
    return sum(end - start for start, end in record["sound"])


async def our_call(stack: Stack, caller: str) -> dict[str, Any]:
    (call,) = (await stack.get(f"/calls?direction=inbound&phone={caller.replace('+', '%2B')}"))["items"]
    assert isinstance(call, dict)
    return call


async def followed(stack: Stack, sid: str) -> dict[str, Any]:
    """The result of the call's workflow, which is started a moment after the answer."""
    handle = stack.temporal.get_workflow_handle(inbound_workflow_id(sid))

    async def started() -> bool:
        try:
            return bool(await handle.describe())
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return False

    await stack.until(started)
    result = await asyncio.wait_for(handle.result(), 60)
    assert isinstance(result, dict)
    return result


async def test_a_known_caller_is_answered_by_name_talks_and_is_recorded_on_both_channels(stack: Stack) -> None:
    caller = await stack.person(script=["Yes, that is correct."])
    campaign = await stack.post(
        "/campaigns",
        {
            "name": "summer",
            "template": template(f"summer-{uuid4().hex[:8]}"),
            "numbers": [await stack.number()],
            "leads": [{"phone": caller, "variables": {"name": "Ada", "item": "a lamp"}}],
        },
    )
    number = await hotline(stack)
    (sid,) = await call_us(stack, number, caller)
    result = await followed(stack, sid)
    assert (result["status"], result["outcome"], result["result"]) == ("completed", "COMPLETED", "confirmed")
    assert result["recording"]

    call = await our_call(stack, caller)
    assert (call["sid"], call["direction"], call["to_phone"]) == (sid, "inbound", number)
    assert call["campaign_id"] == campaign["campaign"]["id"]
    assert (await stack.get(f"/leads/{call['lead_id']}"))["calls"] == [call]
    transcript = await stack.get(f"/calls/{call['id']}/transcript")
    said = [(one["speaker"], one["text"].lower().strip(".!").replace(",", "")) for one in transcript["utterances"]]
    assert said[0] == ("agent", "hello ada. you ordered a lamp. is that correct?")
    assert ("caller", "yes that is correct") in said
    assert transcript["answers"] == {"order": "confirmed"}

    audio = (await stack.api.get(f"/calls/{call['id']}/recording")).raise_for_status().content
    with wave.open(io.BytesIO(audio)) as recording:
        assert (recording.getnchannels(), recording.getframerate()) == (2, 8000)
        sound = np.frombuffer(recording.readframes(recording.getnframes()), dtype="<i2").reshape(-1, 2)
    for channel in range(2):
        loud = np.abs(sound[:, channel].astype(np.int32)) > 1000
        assert loud.sum() > 800, f"channel {channel} holds less than a tenth of a second of speech"


async def test_a_stranger_is_answered_with_empty_names(stack: Stack) -> None:
    caller = await stack.person(script=["Yes, that is correct."])
    (sid,) = await call_us(stack, await hotline(stack), caller)
    assert (await followed(stack, sid))["result"] == "confirmed"
    call = await our_call(stack, caller)
    assert call["lead_id"] is None
    transcript = await stack.get(f"/calls/{call['id']}/transcript")
    assert transcript["utterances"][0]["text"].startswith("Hello .")


def closed_now() -> dict[str, Any]:
    """An hour of the day that is not now."""
    later = datetime.now(UTC) + timedelta(hours=6)
    return {"start": f"{later:%H}:00", "end": f"{later:%H}:30", "time_zone": "UTC"}


async def test_who_calls_at_night_is_told_so(stack: Stack) -> None:
    caller = await stack.person(behaviour="silent")
    told = {"action": "message", "message": "We are closed. Please call tomorrow."}
    number = await hotline(stack, business_hours=closed_now(), when_closed=told)
    (sid,) = await call_us(stack, number, caller)
    call = await seen(stack, sid)
    assert (call["status"], call["streams"]) == ("completed", [])
    assert await heard(stack, sid) > 1
    kept = await our_call(stack, caller)
    assert (kept["refusal"], kept["status"], kept["error_message"]) == ("closed", "completed", "outside business hours")


async def test_a_blocked_caller_is_refused(stack: Stack) -> None:
    caller = await stack.person()
    number = await hotline(stack)
    await stack.post("/blocked-callers", {"phone": caller, "reason": "abuse"})
    (sid,) = await call_us(stack, number, caller)
    call = await seen(stack, sid)
    assert call["times"]["answered"] is None
    assert (await our_call(stack, caller))["refusal"] == "blocked"


async def test_who_finds_the_lines_taken_is_sent_on(stack: Stack) -> None:
    colleague = await stack.person(greeting="Hello, this is the shop.", script=[{"hang_up": True, "after_s": 1}])
    number = await hotline(stack, channels=1, when_full={"action": "redirect", "redirect_to": colleague})
    first, second = await stack.person(behaviour="silent", talk_s=8), await stack.person(behaviour="silent", talk_s=4)
    (one,) = await call_us(stack, number, first)

    async def taken() -> bool:
        return bool((await stack.get(f"/calls?phone={first.replace('+', '%2B')}"))["items"])

    await stack.until(taken)
    (two,) = await call_us(stack, number, second)
    call = await seen(stack, two)
    (onward,) = await stack.witness(colleague)
    assert onward["parent_sid"] == two
    assert onward["status"] == "completed"
    assert call["streams"] == []
    assert (await our_call(stack, second))["refusal"] == "full"
    assert (await followed(stack, one))["status"] == "completed"


@pytest.mark.alone
async def test_two_hundred_calls_at_once_on_fifty_channels(stack: Stack) -> None:
    """50 are served, 150 are told so; none is dropped, none is stuck."""
    calls, channels, talk_s = 200, 50, 14.0
    told = {"action": "message", "message": "All lines are busy. Please call again."}
    number = await hotline(
        stack, channels=channels, when_full=told, changes={"record": False, "turns": {"no_input_s": 20}}
    )
    # The callers have numbers of their own, one after the other.
    first = "+14157000001"
    began = time.monotonic()
    sids = await call_us(stack, number, first, count=calls, behaviour={"behaviour": "silent", "talk_s": talk_s})
    assert len(sids) == calls
    rung_s = time.monotonic() - began

    async def all_over() -> Any:
        listed = await stack.simulator.get("/simulator/calls", params={"to": number, "limit": calls})
        found = listed.raise_for_status().json()
        return found if len(found) == calls and all(call["times"]["ended"] for call in found) else None

    witnessed = await stack.until(all_over, timeout_s=50)
    over_s = time.monotonic() - began
    kept = {call["sid"]: call for call in (await stack.get(f"/calls?phone=%2B{number[1:]}&limit=500"))["items"]}
    assert set(kept) == set(sids)
    served = [sid for sid in sids if kept[sid]["refusal"] is None]
    assert Counter(call["refusal"] for call in kept.values()) == {None: channels, "full": calls - channels}

    by_sid = {call["sid"]: call for call in witnessed}
    assert Counter(call["status"] for call in witnessed) == {"completed": calls}, "a call was dropped"
    assert not [note for call in witnessed for note in call["notifications"]], "a request or a stream failed"
    for sid in sids:
        assert len(by_sid[sid]["streams"]) == (1 if sid in served else 0)
        assert await heard(stack, sid) > 0.5, "somebody heard nothing"

    results = await asyncio.gather(*(followed(stack, sid) for sid in served))
    assert {result["status"] for result in results} == {"completed"}
    settled = [(await stack.get(f"/calls/{kept[sid]['id']}")) for sid in served]
    assert {call["conversation"]["ending"] for call in settled} == {"caller_hung_up"}

    # None is stuck: the next callers have all the lines.
    sids = await call_us(stack, number, "+14157000501", count=channels, behaviour={"talk_s": 0})
    assert all([(await seen(stack, sid))["status"] == "completed" for sid in sids])
    again = (await stack.get("/calls?phone=%2B14157000501"))["items"]
    assert [call["refusal"] for call in again] == [None]
    answered = sorted(
        datetime.fromisoformat(call["times"]["answered"]) - datetime.fromisoformat(call["times"]["ringing"])
        for call in by_sid.values()
    )
    print(
        f"\n{calls} calls on {channels} channels: rung in {rung_s:.1f} s, all over after {over_s:.1f} s; answered "
        f"after p50 {answered[len(answered) // 2].total_seconds():.2f} s, longest {answered[-1].total_seconds():.2f} s"
    )
