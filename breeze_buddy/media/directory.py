"""What the media server asks of the rest of the platform about a call: a seam between them."""

from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Protocol

from breeze_buddy.domain.conversation import ConversationReport, ConversationState
from breeze_buddy.domain.template import Template
from breeze_buddy.domain.transfer import TransferEnding


class StreamRefused(Exception):
    """A stream that must be closed: its token is missing, wrong, expired or used, or the call is over."""


class StreamReplaced(Exception):
    """Another stream of the same call has the conversation by now; what this one says of it is not kept."""


class RecordingUnchanged(Exception):
    """The recording was not paused, or does not go on; the message says why. Asking again does no harm."""


class TransferRefused(Exception):
    """The call cannot be handed over; the message says why."""


@dataclass(frozen=True, slots=True)
class StreamCall:
    """The call that a stream belongs to. `resume` is where an interrupted conversation stood; `lead_id` is None
    for a caller unknown to us; `zone` is what their clock shows; `inbound` says that they called us."""

    call_id: str
    lead_id: str | None
    template: Template
    variables: dict[str, str]
    resume: ConversationState | None = None
    zone: tzinfo = UTC
    inbound: bool = False


class CallDirectory(Protocol):
    """Finds the call of a stream and takes down what happens in it."""

    async def claim(self, *, token: str, call_sid: str, stream_sid: str) -> StreamCall:
        """Take the token, once. Raises StreamRefused."""

    async def save(self, call_id: str, state: ConversationState, *, stream_sid: str) -> None:
        """Remember where the conversation stands; called at each turn. Raises StreamReplaced."""

    async def report(self, report: ConversationReport, *, stream_sid: str) -> None:
        """Store the whole conversation and tell the lead's workflow when it is waiting for it. Raises
        StreamReplaced."""

    async def pause_recording(self, call_id: str) -> None:
        """From when this returns, the recording of the call takes silence. Raises RecordingUnchanged."""

    async def resume_recording(self, call_id: str) -> None:
        """The recording takes sound again. Raises RecordingUnchanged."""

    async def answered_by_machine(self, call_id: str) -> bool:
        """Whether Twilio has found out by now that a machine answered."""

    async def request_transfer(self, call_id: str, reason: str) -> None:
        """Ask for a human. Twilio ends the stream when the caller is moved. Raises TransferRefused."""

    async def transfer_ending(self, call_id: str) -> TransferEnding | None:
        """How the call's latest transfer ended; None while one is open, or when there was none."""

    async def transfer_is_open(self, call_id: str) -> bool:
        """Whether somebody has asked for a human, and that has not ended."""
