"""Numbers that the account may call from without owning them, as Twilio's own client sees them."""

import asyncio
from pathlib import Path

import pytest
from twilio.rest import Client  # type: ignore[import-untyped]

from breeze_buddy.simulator.server import Simulator, SimulatorConfig

SID, TOKEN = "AC" + "0" * 32, "a token"
VERIFIED, OURS, OTHER = "+14155550111", "+14155550100", "+14155550122"


@pytest.mark.parametrize(
    ("owned", "asked", "found"),
    [
        ([OURS], VERIFIED, [VERIFIED]),
        ([OURS], OTHER, []),
        ([], OTHER, [OTHER]),  # without numbers every From is accepted
        ([], VERIFIED, [VERIFIED]),
        ([OURS], None, [VERIFIED]),
    ],
)
async def test_verified_numbers_are_listed(
    owned: list[str], asked: str | None, found: list[str], tmp_path: Path
) -> None:
    config = SimulatorConfig(data=tmp_path, account_sid=SID, auth_token=TOKEN, verified=(VERIFIED,))
    simulator = Simulator(config)
    await simulator.start()
    simulator.account.add_numbers(owned)
    client = Client(SID, TOKEN)
    client.api.base_url = simulator.url
    try:
        query = {} if asked is None else {"phone_number": asked}
        listed = await asyncio.to_thread(client.outgoing_caller_ids.list, **query)
    finally:
        await simulator.stop()
    assert [one.phone_number for one in listed] == found
