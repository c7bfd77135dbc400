"""How long the answers of one conversation took, and how often it was interrupted: figures for whoever runs calls."""

from dataclasses import dataclass

from breeze_buddy.domain.conversation import ConversationFigures, TurnFigures
from breeze_buddy.media.ear import TurnHeard
from breeze_buddy.media.metrics import (
    ANSWER_TO_FIRST_WORD,
    BARGE_IN,
    INTERRUPTIONS,
    SILENCES,
    TURN_AUDIO,
    TURN_FIRST_TOKEN,
    TURN_REPLY,
    TURN_SENT,
    TURN_TRANSCRIPT,
    TURN_WAITED,
)


@dataclass(slots=True)
class _Turn:
    """Times of the loop's clock."""

    began_s: float
    spoke_until_s: float
    ended_s: float
    heard_s: float
    first_token_s: float | None = None
    replied_s: float | None = None
    rendered_s: float | None = None
    sent_s: float | None = None


class Figures:
    """Of one stream, which began at `began_s` by the loop's clock. What is noted here is also told to Prometheus."""

    def __init__(self, began_s: float) -> None:
        self._began_s = began_s
        self._first_word_s: float | None = None
        self._turns: list[_Turn] = []
        self._open: _Turn | None = None
        self._barge_in_s: list[float] = []
        self._false = 0
        self._silences = 0

    def answered(self, turn: TurnHeard, now_s: float) -> None:
        """The caller's turn goes to the dialogue."""
        self._open = _Turn(turn.began_s, turn.spoke_until_s, turn.ended_s, now_s)
        self._turns.append(self._open)
        TURN_WAITED.observe(turn.ended_s - turn.spoke_until_s)
        TURN_TRANSCRIPT.observe(now_s - turn.ended_s)

    def thought(self, first_token_s: float) -> None:
        """When the model's reply to the latest turn began; may be told again, and after a filler was sent."""
        turn = self._turns[-1] if self._turns else None
        if turn is not None and turn.first_token_s is None:
            turn.first_token_s = first_token_s
            TURN_FIRST_TOKEN.observe(max(0.0, first_token_s - turn.heard_s))

    def spoken(self, *, replied_s: float | None, rendered_s: float | None, sent_s: float | None) -> None:
        """What is known of the agent's latest reply; told again as it becomes more."""
        if sent_s is not None and self._first_word_s is None:
            self._first_word_s = sent_s
            ANSWER_TO_FIRST_WORD.observe(sent_s - self._began_s)
        turn = self._open
        if turn is None:
            return
        turn.replied_s, turn.rendered_s, turn.sent_s = replied_s, rendered_s, sent_s
        if sent_s is not None:
            self._open = None
            TURN_REPLY.observe((replied_s or sent_s) - turn.heard_s)
            TURN_AUDIO.observe((rendered_s or sent_s) - (replied_s or sent_s))
            TURN_SENT.observe(sent_s - turn.ended_s)

    def interrupted(self, onset_s: float, now_s: float) -> None:
        """`clear` is on the wire."""
        self._barge_in_s.append(now_s - onset_s)
        INTERRUPTIONS.count()
        BARGE_IN.observe(now_s - onset_s)

    def interrupted_for_nothing(self) -> None:
        """The last interruption was none: the agent goes on."""
        self._false += 1

    def silent(self) -> None:
        """Silence was long enough to be an answer."""
        self._silences += 1
        SILENCES.count()

    def result(self, zero_s: float) -> ConversationFigures:
        """`zero_s` is when the conversation began, by the loop's clock."""
        return ConversationFigures(
            first_word_ms=_ms(self._began_s, self._first_word_s),
            turns=tuple(_figures(turn, zero_s) for turn in self._turns),
            interruptions=len(self._barge_in_s) - self._false,
            false_interruptions=self._false,
            barge_in_ms=tuple(round(1000 * seconds) for seconds in self._barge_in_s),
            silences=self._silences,
        )


def _figures(turn: _Turn, zero_s: float) -> TurnFigures:
    since_s = turn.spoke_until_s
    return TurnFigures(
        at_s=round(max(0.0, turn.began_s - zero_s), 2),
        waited_ms=round(1000 * (turn.ended_s - since_s)),
        transcript_ms=round(1000 * (turn.heard_s - since_s)),
        first_token_ms=_ms(since_s, turn.first_token_s),
        reply_ms=_ms(since_s, turn.replied_s),
        audio_ms=_ms(since_s, turn.rendered_s),
        sent_ms=_ms(since_s, turn.sent_s),
    )


def _ms(from_s: float, to_s: float | None) -> int | None:
    return None if to_s is None else round(1000 * (to_s - from_s))
