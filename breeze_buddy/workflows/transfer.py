"""A warm transfer as a story: reach a human, bring both together, or bring the customer back.

    customer_first   begin: the customer into the conference (music) ─► ring the team ─► both are there ─► they talk
    agent_first      ring the team (the AI keeps company) ─► accepted ─► move the customer ─► they talk

Nobody stays alone: a customer who hangs up ends every phone that rings; a human whose customer does not come
is let go after `alone_s`; a customer for whom nobody can be had is back with the agent.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from breeze_buddy.activities.transfers import (
        Closed,
        DialLeg,
        EndTransfer,
        LegDialled,
        TransferActivities,
        TransferPlan,
    )
    from breeze_buddy.domain import messages
    from breeze_buddy.domain.messages import ConferenceEvent, LegEvent, LegNews, TransferResult, TransferStart
    from breeze_buddy.domain.transfer import TransferEnding
    from breeze_buddy.workflows.options import PROMPT, SHORT

# A briefing, a digit, and Twilio's own delays come on top of the ringing.
_BRIEFING_S = 40
_TAKEN_AGAIN_S = 2
_CALLBACKS_LATE_S = 3
_STILL_TALKING_S = 600


@workflow.defn(name=messages.TRANSFER_WORKFLOW)
class TransferWorkflow:
    """`transfer-{CallSid}`."""

    @workflow.init
    def __init__(self, start: TransferStart) -> None:
        self._id = start.transfer_id
        self._accepted: list[str] = []
        self._over: set[str] = set()
        self._machines: set[str] = set()
        self._inside: dict[str, set[str | None]] = {}  # by conference; None is the customer
        self._moved = False
        self._customer_gone = False
        self._last = TransferEnding.NO_ANSWER
        self._connected_at: datetime | None = None
        self._human: str | None = None

    @workflow.run
    async def run(self, start: TransferStart) -> TransferResult:
        """Until customer and human have talked, or the customer is back, or gone."""
        began = workflow.now()
        try:
            plan: TransferPlan = await workflow.execute_activity_method(
                TransferActivities.begin_transfer, self._id, summary=start.reason or "begin", **PROMPT
            )
        except ActivityError as error:
            workflow.logger.error("the transfer could not begin: %s", error.cause)
            ending = TransferEnding.PROVIDER_ERROR
        else:
            if plan.ended:
                return TransferResult(ending=plan.ended)
            ending = await self._hand_over(plan, began + timedelta(seconds=plan.max_wait_s))
        await self._hang_up_all()
        closed = await self._close(ending)
        waited = (self._connected_at or workflow.now()) - began
        talked = workflow.now() - self._connected_at if self._connected_at else timedelta(0)
        back = ": the customer is back with the agent" if closed.returned else ""
        workflow.set_current_details(f"**{closed.ending}**{back}")
        return TransferResult(
            ending=closed.ending,
            human=self._human,
            waited_s=round(waited.total_seconds(), 1),
            talked_s=round(talked.total_seconds(), 1),
            customer_returned=closed.returned,
        )

    @workflow.signal(name=messages.LEG_NEWS)
    def on_leg_news(self, event: LegEvent) -> None:
        """A human's phone was accepted, declined, answered by a machine, or is over."""
        match event.news:
            case LegNews.ACCEPTED if event.leg_id not in self._accepted:
                self._accepted.append(event.leg_id)
            case LegNews.MACHINE:
                self._machines.add(event.leg_id)
            case LegNews.ENDED | LegNews.DECLINED:
                self._over.add(event.leg_id)
            case _:
                pass

    @workflow.signal(name=messages.CONFERENCE_NEWS)
    def on_conference_news(self, event: ConferenceEvent) -> None:
        """Somebody came into the conference, or left."""
        inside = self._inside.setdefault(event.conference_sid, set())
        if event.joined:
            inside.add(event.leg_id)
            return
        inside.discard(event.leg_id)
        if event.hung_up and event.leg_id is None:
            self._customer_gone = True
        elif event.hung_up and event.leg_id is not None:
            self._over.add(event.leg_id)

    @workflow.signal(name=messages.CUSTOMER_GONE)
    def on_customer_gone(self) -> None:
        """The customer's call is over."""
        self._customer_gone = True

    async def _hand_over(self, plan: TransferPlan, deadline: datetime) -> TransferEnding:
        if not plan.open:
            return TransferEnding.CLOSED
        gone = plan.moved is False or self._customer_gone
        if gone:
            return TransferEnding.CUSTOMER_HUNG_UP
        self._moved = plan.moved is True
        waiting = list(plan.team)
        while waiting:
            group = waiting.pop(0)
            leg_id = await self._reach(group, plan, deadline, waiting)
            if self._customer_gone:
                return TransferEnding.CUSTOMER_HUNG_UP
            if leg_id is not None:
                self._last = await self._bring_together(leg_id, plan)
                if self._last is TransferEnding.AGENT_HUNG_UP:
                    self._last = await self._what_came_of([leg_id])
                if self._last not in (TransferEnding.AGENT_HUNG_UP, TransferEnding.VOICEMAIL):
                    return self._last
                await self._hang_up_all()
            elif self._last is TransferEnding.TALKED:
                return self._last  # all of it while no worker was there
            if workflow.now() >= deadline:
                return TransferEnding.NOBODY
        return self._last

    async def _move_customer(self) -> TransferEnding | None:
        """Take the customer into the conference, once; why that cannot be, if it cannot."""
        if self._moved:
            return None
        workflow.set_current_details("Moving the customer into the conference")
        try:
            self._moved = await workflow.execute_activity_method(
                TransferActivities.move_customer, self._id, summary="the customer into the conference", **PROMPT
            )
        except ActivityError as error:
            workflow.logger.error("the customer could not be moved: %s", error.cause)
            return TransferEnding.PROVIDER_ERROR
        return None if self._moved and not self._customer_gone else TransferEnding.CUSTOMER_HUNG_UP

    async def _reach(
        self, group: list[str], plan: TransferPlan, deadline: datetime, waiting: list[list[str]]
    ) -> str | None:
        """Ring a group of the team together; the leg that was accepted, or None.

        Humans who talk in another transfer are put to the end of `waiting`, for another try.
        """
        legs, taken = [], []
        for place in group:
            leg_id = str(workflow.uuid4())
            dialled = await self._dial(DialLeg(self._id, leg_id, int(place)))
            if dialled.ringing:
                legs.append(leg_id)
            elif dialled.taken:
                taken.append(place)
            elif dialled.ending is not None:
                self._last = dialled.ending
        if taken:
            self._last = TransferEnding.BUSY
            waiting.append(taken)
        if not legs:
            pause_s = min(_TAKEN_AGAIN_S, self._left_s(deadline))
            if taken:
                await self._wait(lambda: self._customer_gone, pause_s, "for the team to come free")
            return None
        return await self._ring_out(legs, min(plan.ring_timeout_s + _BRIEFING_S, self._left_s(deadline)))

    async def _dial(self, order: DialLeg) -> LegDialled:
        try:
            return await workflow.execute_activity_method(
                TransferActivities.dial_human, order, summary=f"ring number {order.place + 1} of the team", **PROMPT
            )
        except ActivityError as error:
            workflow.logger.error("number %d of the team could not be rung: %s", order.place + 1, error.cause)
            return LegDialled(ringing=False, ending=TransferEnding.PROVIDER_ERROR)

    async def _ring_out(self, legs: list[str], for_s: float) -> str | None:
        """Wait until a phone is accepted or all are over; then end the others."""
        workflow.set_current_details(f"Ringing {len(legs)} of the team")
        until = workflow.now() + timedelta(seconds=for_s)
        while not (self._taken(legs) or self._customer_gone or self._all_over(legs)):
            if not await self._wait(lambda: self._stirs(legs), self._left_s(until), "for a human to take the call"):
                break
        taken = self._taken(legs)
        await workflow.execute_activity_method(
            TransferActivities.hang_up_legs, args=[self._id, taken], summary="the other phones", **SHORT
        )
        if taken is None:
            self._last = await self._what_came_of(legs)
        return taken

    async def _what_came_of(self, legs: list[str]) -> TransferEnding:
        return await workflow.execute_activity_method(
            TransferActivities.ending_of_legs, legs, summary="what came of it", **SHORT
        )

    def _taken(self, legs: list[str]) -> str | None:
        lost = self._over | self._machines
        return next((leg_id for leg_id in self._accepted if leg_id in legs and leg_id not in lost), None)

    def _all_over(self, legs: list[str]) -> bool:
        return all(leg_id in self._over or leg_id in self._machines for leg_id in legs)

    def _stirs(self, legs: list[str]) -> bool:
        return self._taken(legs) is not None or self._customer_gone or self._all_over(legs)

    async def _bring_together(self, leg_id: str, plan: TransferPlan) -> TransferEnding:
        """A human has accepted: see that both are in the conference, and let them talk."""
        until = workflow.now() + timedelta(seconds=plan.alone_s)
        if not self._moved and await self._are_in({leg_id}, leg_id, until):
            # The human is there already: the customer hears them at once.
            ending = await self._move_customer()
            if ending is not None:
                return ending
        together = await self._are_in({None, leg_id}, leg_id, until)
        if self._customer_gone and not together:
            return TransferEnding.CUSTOMER_HUNG_UP
        if leg_id in self._machines:
            return TransferEnding.VOICEMAIL
        return await self._talk(leg_id) if together else TransferEnding.AGENT_HUNG_UP

    async def _are_in(self, who: set[str | None], leg_id: str, until: datetime) -> bool:
        """Wait until all of `who` are in one conference; Twilio is asked when callbacks do not say so."""

        def are_in() -> bool:
            return any(who <= inside for inside in self._inside.values())

        while not (are_in() or self._is_lost(leg_id)) and workflow.now() < until:
            wait_s = min(_CALLBACKS_LATE_S, self._left_s(until))
            if not await self._wait(lambda: are_in() or self._is_lost(leg_id), wait_s, "for both to be there"):
                found = await workflow.execute_activity_method(
                    TransferActivities.look_into_conference, self._id, summary="who is in the conference?", **SHORT
                )
                self._inside["as looked up"] = set(found)
        return are_in() and not self._is_lost(leg_id)

    def _is_lost(self, leg_id: str) -> bool:
        return self._customer_gone or leg_id in self._over or leg_id in self._machines

    async def _talk(self, leg_id: str) -> TransferEnding:
        """Until one of them hangs up, or it turns out that a machine is talking."""
        self._connected_at = workflow.now()
        self._human = await workflow.execute_activity_method(
            TransferActivities.note_connected, leg_id, summary="customer and human talk", **SHORT
        )
        workflow.set_current_details("Customer and human are talking")
        while not self._is_lost(leg_id):
            if not await self._wait(lambda: self._is_lost(leg_id), _STILL_TALKING_S, "for the end of the talk"):
                event = await workflow.execute_activity_method(
                    TransferActivities.check_leg, leg_id, summary="no word from Twilio: asking", **SHORT
                )
                self.on_leg_news(event)
        if leg_id in self._machines and not self._customer_gone:
            self._connected_at = self._human = None
            return TransferEnding.VOICEMAIL
        return TransferEnding.TALKED

    async def _hang_up_all(self) -> None:
        await workflow.execute_activity_method(
            TransferActivities.hang_up_legs, args=[self._id, None], summary="nobody is left on the phone", **SHORT
        )

    async def _close(self, ending: TransferEnding) -> Closed:
        """Note the ending and bring the customer back, if there is one to bring back."""
        over = ending in (TransferEnding.TALKED, TransferEnding.CUSTOMER_HUNG_UP) or self._customer_gone
        talked = ending is TransferEnding.TALKED
        final = TransferEnding.CUSTOMER_HUNG_UP if self._customer_gone and not talked else ending
        return await workflow.execute_activity_method(
            TransferActivities.end_transfer,
            EndTransfer(self._id, final, bring_back=not over),
            summary=str(final),
            **SHORT,
        )

    def _left_s(self, until: datetime) -> float:
        return max((until - workflow.now()).total_seconds(), 0)

    async def _wait(self, done: Callable[[], bool], for_s: float, what: str) -> bool:
        try:
            await workflow.wait_condition(done, timeout=timedelta(seconds=for_s), timeout_summary=what)
        except TimeoutError:
            return False
        return True
