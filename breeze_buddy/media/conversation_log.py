"""What was said in a conversation, in order, while it happens."""

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo

from breeze_buddy.domain.conversation import ConversationReport, ConversationState, MessageStage, Utterance
from breeze_buddy.domain.promise import promised_at
from breeze_buddy.domain.transfer import TransferEnding
from breeze_buddy.media.engines import Conversation, Finish, Overhearing
from breeze_buddy.media.figures import Figures
from breeze_buddy.media.playback import Playback


class ConversationLog:
    """Keeps the transcript of one call. `clock` gives aware wall time; `loop_s` the time that playback uses;
    `zone` is the caller's own."""

    def __init__(
        self,
        *,
        call_id: str,
        clock: Callable[[], datetime],
        loop_s: Callable[[], float],
        before: ConversationState | None = None,
        zone: tzinfo = UTC,
    ) -> None:
        self._call_id = call_id
        self._clock = clock
        self._loop_s = loop_s
        self._zone = zone
        now = clock()
        self._began_at = before.began_at if before else now
        self._zero_s = loop_s() - max(0.0, (now - self._began_at).total_seconds())
        self._transcript: list[Utterance] = list(before.transcript) if before else []
        self._before = before
        self._told: Overhearing | None = None
        self.figures = Figures(loop_s())

    @property
    def caller_has_spoken(self) -> bool:
        return any(utterance.speaker == "caller" for utterance in self._transcript)

    def agent(self, playback: Playback, *, interrupted: bool) -> None:
        """Take down what was heard of the agent since the last time; nothing, if nothing was."""
        text, began_s = playback.take_heard()
        if text:
            self._add(Utterance(speaker="agent", text=text, at_s=self._at_s(began_s), interrupted=interrupted))

    def caller(self, text: str, *, at_s: float | None = None, digits: bool = False) -> None:
        """Take down a turn that began at `at_s` by the loop's clock; None: now."""
        self._add(Utterance(speaker="caller", text=text, at_s=self._at_s(at_s), digits=digits))

    def state(
        self, conversation: Conversation, *, machine: MessageStage | None = None, decided: Finish | None = None
    ) -> ConversationState:
        """Where it stands; `machine`: how far a message for a machine is; `decided`: its end, which is being said."""
        return ConversationState(
            node=conversation.node,
            answers=dict(conversation.answers),
            transcript=tuple(self._transcript),
            reprompts=conversation.reprompts,
            began_at=self._began_at,
            returned=self._returned,
            parting=conversation.parting,
            filling=conversation.filling,
            machine=machine,
            do_not_call=decided is not None and decided.do_not_call,
        )

    @property
    def _returned(self) -> TransferEnding | None:
        """Back from a transfer, and nothing was said since."""
        if self._before is None or len(self._transcript) > len(self._before.transcript):
            return None
        return self._before.returned

    def report(self, finish: Finish, answers: dict[str, str]) -> ConversationReport:
        now = self._clock()
        return ConversationReport(
            call_id=self._call_id,
            began_at=self._began_at,
            ended_at=now,
            ending=finish.ending,
            result=finish.result,
            answers=dict(answers),
            transcript=tuple(self._transcript),
            callback_at=promised_at(finish.callback, now=now, clock=self._zone)
            if finish.callback is not None
            else None,
            do_not_call=finish.do_not_call,
            figures=self.figures.result(self._zero_s),
        )

    def _at_s(self, loop_s: float | None) -> float:
        return round(max(0.0, (self._loop_s() if loop_s is None else loop_s) - self._zero_s), 2)

    def tell(self, conversation: Conversation) -> None:
        """From now on, tell a conversation that wants to know what was heard."""
        self._told = conversation if isinstance(conversation, Overhearing) else None

    def _add(self, utterance: Utterance) -> None:
        if self._told is not None:
            self._told.overhear(utterance)
        self._transcript.append(utterance)
