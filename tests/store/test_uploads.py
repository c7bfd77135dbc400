"""Files of leads page by page, on both databases."""

import pytest

from breeze_buddy.activities.uploading import MAX_KEPT, PAGE_ROWS, LeadUpload
from breeze_buddy.domain.campaign import CampaignStatus
from breeze_buddy.domain.do_not_call import ListingSource
from breeze_buddy.domain.lead import LeadInput
from breeze_buddy.domain.upload import Upload
from breeze_buddy.store import do_not_call, uploads
from breeze_buddy.store.errors import Conflict, NotFound
from tests.store.stage import Stage, person


async def read(stage: Stage, upload_id: str) -> Upload:
    async with stage.database.read() as tx:
        return await uploads.get(tx, upload_id, now=stage.database.now())


async def refused(stage: Stage, upload_id: str) -> list[tuple[int, str]]:
    async with stage.database.read() as tx:
        found = await uploads.refusals(tx, upload_id, after=0, limit=1000)
    return [(each.line, each.field) for each in found]


async def test_every_page_is_there_before_the_next_one(stage: Stage) -> None:
    campaign = await stage.campaign()
    async with LeadUpload(stage.database, campaign.id, file_name="a.csv") as upload:
        for n in range(PAGE_ROWS + 1):
            written = await upload.take(n + 2, LeadInput(phone=person(n)))
            assert written == (n == PAGE_ROWS - 1)
        half = await read(stage, upload.id)
        assert (half.status, half.accepted, half.file_name) == ("RUNNING", PAGE_ROWS, "a.csv")
        await upload.write()
    assert (await stage.read_campaign(campaign)).open_leads == PAGE_ROWS + 1
    assert (await read(stage, upload.id)).status == "DONE"


async def test_duplicates_by_phone_and_by_request_are_found_in_the_page_and_in_the_campaign(stage: Stage) -> None:
    campaign, other = await stage.campaign(), await stage.campaign()
    for campaign_id, accepted in ((campaign.id, 2), (campaign.id, 0), (other.id, 2)):
        async with LeadUpload(stage.database, campaign_id, file_name=None) as upload:
            await upload.take(2, LeadInput(phone=person(0), request_id="a"))
            await upload.take(3, LeadInput(phone=person(1)))
            await upload.take(4, LeadInput(phone=person(1), request_id="b"))
            await upload.take(5, LeadInput(phone=person(2), request_id="a"))
            await upload.write()
        assert (upload.counts.accepted, upload.counts.duplicates) == (accepted, 4 - accepted)
        assert (await refused(stage, upload.id))[-2:] == [(4, "phone"), (5, "request_id")]


async def test_nobody_on_the_do_not_call_list_is_taken(stage: Stage) -> None:
    campaign = await stage.campaign()
    async with stage.database.write() as tx:
        await do_not_call.add(tx, person(1), source=ListingSource.API, reason=None, call_id=None, now=stage.now)
    async with LeadUpload(stage.database, campaign.id, file_name=None) as upload:
        for n in range(3):
            await upload.take(n + 2, LeadInput(phone=person(n)))
        await upload.write()
    assert (upload.counts.accepted, await refused(stage, upload.id)) == (2, [(3, "phone")])


async def test_what_stops_an_upload_is_written_down(stage: Stage) -> None:
    campaign = await stage.campaign()
    upload = LeadUpload(stage.database, campaign.id, file_name=None)

    async def break_off() -> None:
        async with upload:
            await upload.take(2, LeadInput(phone=person(0)))
            raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        await break_off()
    found = await read(stage, upload.id)
    assert (found.status, found.accepted) == ("FAILED", 0)
    assert found.error is not None
    assert "send the file again" in found.error


async def test_a_cancelled_campaign_takes_no_file_and_one_that_is_not_there_neither(stage: Stage) -> None:
    campaign = await stage.campaign()
    await stage.set_status(campaign.id, CampaignStatus.CANCELLED)
    upload = LeadUpload(stage.database, campaign.id, file_name=None)
    with pytest.raises(Conflict):
        async with upload:
            await upload.write()
    error = (await read(stage, upload.id)).error
    assert error is not None
    assert "cancelled" in error
    with pytest.raises(NotFound):
        async with LeadUpload(stage.database, "none", file_name=None):
            pass


async def test_refusals_that_are_kept_are_bounded_and_all_are_counted(stage: Stage) -> None:
    campaign = await stage.campaign()
    async with LeadUpload(stage.database, campaign.id, file_name=None) as upload:
        for n in range(MAX_KEPT + PAGE_ROWS):
            await upload.refuse(n + 2, "phone" * 100, "it has no phone number")
        await upload.write()
    assert (await read(stage, upload.id)).refused == MAX_KEPT + PAGE_ROWS
    async with stage.database.read() as tx:
        assert len(await uploads.refusals(tx, upload.id, after=0, limit=MAX_KEPT * 2)) == MAX_KEPT
