"""Whatever happens in whatever order, what must be true is true after every step."""

from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from breeze_buddy.domain.call import AnsweredBy, CallFacts, CallStatus, FailureClass
from breeze_buddy.domain.campaign import Campaign, CampaignStatus
from breeze_buddy.domain.conversation import Ending
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.messages import Grant
from breeze_buddy.domain.number import NumberUpdate
from breeze_buddy.store import cancelling, leads, numbers
from breeze_buddy.store.acceptance import Accepted
from breeze_buddy.store.errors import Conflict
from breeze_buddy.store.standing import withdraw
from tests.store.stage import Stage, a_template, person

MAX_RETRIES = 1
STEPS = (
    "grant",
    "grant one",
    "accept",
    "created",
    "refused",
    "callback",
    "end",
    "claim",
    "report",
    "finish",
    "finish later",
    "rejoin",
    "cancel",
    "withdraw",
    "orphan",
    "pause",
    "resume",
    "shrink",
    "grow",
    "wait",
)
# (step, which of the things it could be done to, which variety)
steps = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 5), st.integers(0, 5)), min_size=10, max_size=45)


# The same examples in every run; a failing one is shown as it is, for making it smaller takes minutes.
HOUSE = settings(
    deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate)
)


class World:
    """Two campaigns on two numbers, with three people in both of them."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.grants: list[Grant] = []
        self.placed: dict[str, int] = {}
        self.campaigns: list[Campaign] = []
        self.leads: list[str] = []
        self.number_id = ""

    async def build(self) -> None:
        stage = self.stage
        await stage.clear()
        self.number_id = (await stage.number("+14155550001", channels=2)).id
        await stage.number("+14155550002", channels=1)
        template = a_template(retry={"max_retries": MAX_RETRIES, "cooldown": 30})
        self.campaigns = [
            await stage.campaign("one", template=template),
            await stage.campaign("two", template=template, max_concurrent_calls=2, calls_per_second=2, weight=2),
        ]
        for campaign in self.campaigns:
            self.leads += await stage.leads(campaign, [person(n) for n in range(3)])

    async def do(self, step: str, which: int, variety: int) -> None:
        stage = self.stage
        lead_id = self.leads[which]
        campaign = self.campaigns[which % 2]
        # The newest grants are the ones with something left to do.
        call_id = self.grants[-1 - which % len(self.grants)].call_id if self.grants else None
        match step:
            case "grant" | "grant one":
                self.grants += await stage.grant(limit=1 if step == "grant one" else 100)
            case "rejoin":
                await stage.rejoin(lead_id)
            case "cancel":
                await stage.cancel(lead_id)
            case "withdraw":
                async with stage.database.write() as tx:
                    await withdraw(tx, lead_id, now=stage.now, reason="cancelled")
            case "orphan" if variety == 0:
                async with stage.database.write() as tx:
                    await cancelling.withdraw_orphan(tx, lead_id, now=stage.now, reason="cancelled")
            case "pause" if (await stage.read_campaign(campaign)).status is CampaignStatus.RUNNING:
                await stage.set_status(campaign.id, CampaignStatus.PAUSED)
            case "resume":
                await stage.set_status(campaign.id, CampaignStatus.RUNNING)
            case "shrink" | "grow":
                async with stage.database.write() as tx:
                    channels = 1 if step == "shrink" else 4
                    await numbers.change(tx, self.number_id, NumberUpdate(channels=channels))
            case "wait":
                stage.pass_time(seconds=20)
            case _ if call_id is not None:
                await self.do_to_call(step, call_id, variety)

    async def do_to_call(self, step: str, call_id: str, variety: int) -> None:
        stage = self.stage
        progress = (await stage.row("calls", call_id))["progress"]
        # What can only happen once Twilio was asked happens only then.
        asked = progress in ("intended", "dialled", "ended")
        match step:
            case "accept":
                answer = await stage.accept(call_id)
                if isinstance(answer, Accepted):
                    self.placed[call_id] = self.placed.get(call_id, 0) + 1
            case "created" if asked:
                await stage.record_dialled(call_id, f"CA{call_id}")
            case "refused" if asked:
                await stage.refuse(call_id, list(FailureClass)[variety % 4])
            case "callback" if asked:
                who = (None, AnsweredBy.HUMAN, AnsweredBy.MACHINE)[variety % 3]
                status = (CallStatus.INITIATED, CallStatus.RINGING, CallStatus.IN_PROGRESS)[variety % 3]
                await stage.hear(
                    call_id, CallFacts(sid=f"CA{call_id}", status=status, sequence=variety, answered_by=who)
                )
            case "end" if asked:
                ends = [status for status in CallStatus if status.is_terminal]
                await stage.end(call_id, ends[variety % len(ends)], sid=f"CA{call_id}")
            case "claim" if asked:
                with suppress(Conflict):
                    await stage.claim(call_id, token=f"{call_id}-{variety}", sid=f"CA{call_id}")
            case "report" if asked:
                await stage.report(call_id, list(Ending)[variety % len(Ending)], do_not_call=variety == 5)
            case "finish" | "finish later" if progress not in ("granted", "intended"):
                await stage.finish(call_id, wait_for_conversation=step == "finish later")

    async def check(self) -> None:
        await self.stage.check()
        assert all(times == 1 for times in self.placed.values()), "a call was asked for twice"
        async with self.stage.database.read() as tx:
            assert all(lead.attempts <= 1 + MAX_RETRIES for lead in await leads.listed(tx))


@given(done=steps)
@settings(HOUSE, max_examples=20)
async def test_no_order_of_events_breaks_what_must_be_true(stage: Stage, done: list[tuple[str, int, int]]) -> None:
    world = World(stage)
    await world.build()
    for step, which, variety in done:
        await world.do(step, which, variety)
        await world.check()


async def drain(world: World) -> None:
    """Let everything come to its end, as the workflows would."""
    stage = world.stage
    for campaign in world.campaigns:
        await stage.set_status(campaign.id, CampaignStatus.RUNNING)
    for _ in range(60):
        for lead_id in world.leads:
            call_id = (await stage.row("leads", lead_id))["call_id"]
            if call_id is not None:
                await take_to_end(stage, call_id)
            await stage.rejoin(lead_id)
        if all([(await stage.read_lead(lead_id)).status is LeadStatus.FINISHED for lead_id in world.leads]):
            return
        stage.pass_time(minutes=20)
        for lead_id in world.leads:
            row = await stage.row("leads", lead_id)
            if row["cancel_requested_at"] is not None:
                async with stage.database.write() as tx:
                    await withdraw(tx, lead_id, now=stage.now, reason="cancelled")
        await stage.grant()
    raise AssertionError("a lead never finished")


async def take_to_end(stage: Stage, call_id: str) -> Any:
    if (await stage.row("calls", call_id))["progress"] == "granted":
        await stage.accept(call_id)
    row = await stage.row("calls", call_id)
    if row["progress"] == "intended":
        await stage.record_dialled(call_id, f"CA{call_id}")
    if row["progress"] in ("intended", "dialled"):
        await stage.end(call_id, CallStatus.NO_ANSWER, sid=f"CA{call_id}")
    if (await stage.row("calls", call_id))["settled_at"] is None:
        await stage.finish(call_id)


@given(done=steps)
@settings(HOUSE, max_examples=10)
async def test_after_any_order_of_events_every_lead_still_ends(stage: Stage, done: list[tuple[str, int, int]]) -> None:
    world = World(stage)
    await world.build()
    for step, which, variety in done:
        await world.do(step, which, variety)
    await drain(world)
    await world.check()
    assert await stage.leased() == 0
    for campaign in world.campaigns:
        assert (await stage.read_campaign(campaign)).open_leads == 0
