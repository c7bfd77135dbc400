"""A caller for whom no human could be had: what they are told, and how they part when the template has them part.

Either a call is promised, or a message for the team is taken, which is asked for once more when nothing was said.
"""

from collections.abc import Callable

from breeze_buddy.domain.conversation import Ending
from breeze_buddy.domain.flow import VOICEMAIL
from breeze_buddy.domain.transfer import TransferEnding, TransferPolicy
from breeze_buddy.media.engines import CallerTurn, Finish, Heard, Reply, Say, TakeMessage

GOODBYE = "Goodbye."
MOST_MESSAGES_ASKED = 2


def not_transferred() -> list[Reply]:
    """The end, where the flow has no way on."""
    return [Say(GOODBYE, interruptible=False), Finish(Ending.REACHED_END, "not_transferred")]


class Parting:
    """By the template's policy. `filled` puts values into texts; the message becomes one of `answers`."""

    def __init__(
        self, policy: TransferPolicy, *, filled: Callable[[str], str], answers: dict[str, str], resumed: bool
    ) -> None:
        self._policy = policy
        self._filled = filled
        self._answers = answers
        self._resumed = resumed
        self._asked = 0

    def sorry(self) -> Reply:
        """Said to whoever comes back."""
        return Say(self._filled(self._policy.failed_say), interruptible=False)

    def leads_away(self, ending: TransferEnding) -> bool:
        """Whether the conversation ends after a transfer that ended so."""
        return self._policy.next_step(ending) != "return"

    def begin(self, ending: TransferEnding) -> list[Reply]:
        """The way out, where there is one."""
        policy = self._policy
        if policy.next_step(ending) == "callback":
            promise = Say(self._filled(policy.callback_say), interruptible=False)
            return [
                self.sorry(),
                promise,
                Finish(Ending.REACHED_END, "callback", callback=policy.callback_after),
            ]
        if self._resumed and VOICEMAIL in self._answers:  # interrupted when it had been left
            return self._thank()
        return [self.sorry(), *self._ask_for_message()]

    def answer(self, turn: CallerTurn) -> list[Reply]:
        """The message is an answer; who says nothing is asked once more."""
        if isinstance(turn, Heard):
            self._answers[VOICEMAIL] = turn.text
            return self._thank()
        if self._asked < MOST_MESSAGES_ASKED:
            return self._ask_for_message()
        return not_transferred()

    def _ask_for_message(self) -> list[Reply]:
        policy = self._policy
        text = policy.voicemail_again_say if self._asked else policy.voicemail_say
        self._asked += 1
        # Not interruptible: what is said into it would be missing in the message.
        return [
            Say(self._filled(text), interruptible=False),
            TakeMessage(pause_s=policy.voicemail_pause_s, longest_s=policy.voicemail_longest_s),
        ]

    def _thank(self) -> list[Reply]:
        thanks = Say(self._filled(self._policy.voicemail_thanks), interruptible=False)
        return [thanks, Finish(Ending.REACHED_END, VOICEMAIL)]
