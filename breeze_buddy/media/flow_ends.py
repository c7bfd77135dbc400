"""What the end of a flow means for the call: hanging up, a promised call, the do-not-call list, or a human."""

from collections.abc import Callable, Mapping

from breeze_buddy.domain.conversation import Ending
from breeze_buddy.domain.flow import (
    Action,
    CollectDigits,
    DoNotCall,
    EndConversation,
    HttpRequest,
    ScheduleCallback,
    TransferToAgent,
)
from breeze_buddy.domain.promise import Callback
from breeze_buddy.media.engines import Finish, HandOver, Reply
from breeze_buddy.media.spoken_times import spoken_time


def end_by(action: Action, *, answers: Mapping[str, str], filled: Callable[[str], str]) -> Reply:
    """The last reply of a node that ends with `action`; `filled` puts values into texts."""
    match action:
        case EndConversation():
            return Finish(Ending.REACHED_END, action.result)
        case ScheduleCallback():
            return Finish(Ending.REACHED_END, action.result, callback=_promised(action, answers))
        case DoNotCall():
            return Finish(Ending.REACHED_END, action.result, do_not_call=True)
        case TransferToAgent():
            return HandOver(filled(action.reason))
        case CollectDigits() | HttpRequest():
            raise AssertionError("these are no end")


def _promised(action: ScheduleCallback, answers: Mapping[str, str]) -> Callback:
    """The time that the caller said, as far as it was understood, or that of the flow."""
    said = spoken_time(answers.get(action.said, "")) if action.said is not None else None
    return said or action.callback
