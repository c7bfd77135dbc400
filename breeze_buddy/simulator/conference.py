"""A conference: who sits in it, who hears whom, and the mixing of their sound, 20 ms at a time.

A seat is what a participant's line is joined to. The lines move first in each tick, then the conference mixes what they
said into what each will hear next. Nothing here waits or asks the network: sounds come in as clips, and what happens
goes out through ``tell``.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from breeze_buddy.simulator.calls import Call, CallbackWitness
from breeze_buddy.simulator.dates import now_s
from breeze_buddy.simulator.ear import NOTHING
from breeze_buddy.simulator.join_settings import JoinSettings
from breeze_buddy.simulator.music import Loop, mix
from breeze_buddy.simulator.recordings import Recording
from breeze_buddy.simulator.sids import new_sid
from breeze_buddy.simulator.sound import FRAMES_PER_S, SILENCE_FRAME, Clip, is_sound, tone

HUNG_UP, MOVED, ADD_FAILED = "participant_hung_up", "participant_updated_via_api", "participant_add_failed"
ENDED_BY_API, ENDED_BY_MODERATOR = "conference_ended_via_api", "moderator_ended_conference"
END_BY_API = "conference-ended-via-api"
SPEECH_ENDS_AFTER_FRAMES = FRAMES_PER_S
BEEP = tone(700, 0.2, 5000)


@dataclass(eq=False)
class Overlay:
    """A clip over everything else that one seat hears: an announcement or a beep."""

    kind: str
    clip: Clip
    done: Callable[[], None] | None = None


@dataclass(eq=False)
class Seat:
    """One participant, from the invitation or the joining to the leaving; the endpoint of their line."""

    call: Call
    settings: JoinSettings
    muted: bool = False
    hold: bool = False
    end_on_exit: bool = False
    beeps_on_exit: bool = False
    coach: str | None = None
    sources: tuple[str, ...] = NOTHING
    created_s: float = field(default_factory=now_s)
    updated_s: float = field(default_factory=now_s)
    joined_s: float | None = None
    left_s: float | None = None
    left_because: str | None = None
    left: "asyncio.Future[str]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    said: bytes = SILENCE_FRAME
    heard: bytes | None = None
    hears: "tuple[Seat, ...]" = ()
    waiting: Loop | None = None
    holding: Loop | None = None
    background: Loop | None = None
    overlays: deque[Overlay] = field(default_factory=deque)
    quiet_frames: int = SPEECH_ENDS_AFTER_FRAMES

    def __post_init__(self) -> None:
        self.muted, self.coach = self.settings.muted, self.settings.coach
        self.end_on_exit, self.beeps_on_exit = self.settings.end_on_exit, self.settings.beeps_on_exit

    @property
    def sid(self) -> str:
        """The call's: a participant has no other."""
        return self.call.sid

    @property
    def is_in(self) -> bool:
        """Whether they have joined and not left."""
        return self.joined_s is not None and self.left_s is None

    def exchange(self, said: bytes) -> bytes | None:
        """The line's: 20 ms in, 20 ms out."""
        self.said = said
        return self.heard

    def press(self, digit: str) -> None:
        """Nobody listens to keys in a conference."""


Tell = Callable[["Conference", str, Seat | None, dict[str, str]], None]


@dataclass(eq=False)
class Conference:
    """One conference, from its first seat to its end. ``tell`` hears of each event with its seat and extra fields."""

    account_sid: str
    settings: JoinSettings
    tell: Tell
    sid: str = field(default_factory=lambda: new_sid("CF"))
    created_s: float = field(default_factory=now_s)
    updated_s: float = field(default_factory=now_s)
    started_s: float | None = None
    ended_s: float | None = None
    reason_ended: str | None = None
    ended_by: str | None = None
    seats: list[Seat] = field(default_factory=list)
    invited: list[Seat] = field(default_factory=list)
    roster: list[Seat] = field(default_factory=list)
    timeline: list[tuple[float, tuple[str, ...], int]] = field(default_factory=list)
    recording: Recording | None = None
    sequence: int = 0
    attempt: int = 1
    callbacks: list[CallbackWitness] = field(default_factory=list)
    last_callback: asyncio.Event | None = None
    held_callbacks: list[asyncio.Event] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its FriendlyName."""
        return self.settings.name

    @property
    def status(self) -> str:
        """init, in-progress or completed."""
        return "completed" if self.ended_s is not None else "in-progress" if self.started_s is not None else "init"

    @property
    def is_live(self) -> bool:
        """Whether it has not ended."""
        return self.ended_s is None

    def invite(self, seat: Seat) -> None:
        """Somebody is being dialled."""
        self.invited.append(seat)
        self.roster.append(seat)
        self._note()

    def join(self, seat: Seat) -> bool:
        """Somebody comes in; False when it is full, and then they are not in."""
        if seat in self.invited:
            self.invited.remove(seat)
        else:
            self.roster.append(seat)
        if len(self.seats) >= self.settings.max_participants:
            self._note()
            return False
        seat.joined_s = seat.updated_s = now_s()
        self.seats.append(seat)
        self._note()
        if seat.settings.beeps_on_enter and self.started_s is not None:
            self._beep(seat)
        self.tell(self, "participant-join", seat, {})
        if self.started_s is None and len(self.seats) > 1 and any(s.settings.start_on_enter for s in self.seats):
            self.started_s = self.updated_s = now_s()
            self.tell(self, "conference-start", None, {})
        self.rewire()
        return True

    def withdraw(self, seat: Seat) -> None:
        """Somebody who was dialled goes elsewhere, for this has ended."""
        self.invited.remove(seat)
        self.roster.remove(seat)
        self._note()

    def add_failed(self, seat: Seat) -> None:
        """Somebody who was dialled does not come."""
        if seat not in self.invited:
            return
        self.invited.remove(seat)
        seat.left_s, seat.left_because = now_s(), ADD_FAILED
        self._note()
        if self.is_live:
            self._tell_left(seat)
            self._end_if_empty("last-participant-left", seat)

    def leave(self, seat: Seat, because: str, *, kicked: bool = False) -> None:
        """Somebody goes, for the reason that Twilio calls ``because``; harmless when they have gone."""
        if seat not in self.seats:
            return
        self._remove(seat, because)
        if seat.beeps_on_exit:
            self._beep(seat)
        self.rewire()
        if seat.end_on_exit:
            how = "kicked" if kicked else "left"
            self._end(f"participant-with-end-conference-on-exit-{how}", seat, ENDED_BY_MODERATOR)
        else:
            self._end_if_empty("last-participant-kicked" if kicked else "last-participant-left", seat)

    def end(self) -> None:
        """The API ends it for all."""
        if self.is_live:
            self._end(END_BY_API, None, ENDED_BY_API)

    def overlay(self, seats: list[Seat], kind: str, ulaw: bytes, done: Callable[[], None] | None = None) -> None:
        """Play a clip to these seats; ``done`` is called once, when the first has heard it."""
        for place, seat in enumerate(seats):
            seat.overlays.append(Overlay(kind, Clip(ulaw), done if place == 0 else None))
        self.rewire()

    def rewire(self) -> None:
        """Who hears whom and what, after something changed."""
        for seat in self.seats:
            if seat.hold:
                seat.hears, seat.background = (), seat.holding
            elif self.started_s is None:
                seat.hears, seat.background = (), seat.waiting
            else:
                seat.hears = tuple(other for other in self.seats if _reaches(other, seat))
                seat.background = None
            sources = [other.call.sid for other in seat.hears]
            if seat.background is not None and not seat.background.is_silent:
                sources.append("music")
            sources.extend(sorted({overlay.kind for overlay in seat.overlays}))
            seat.sources = tuple(sources) or NOTHING

    def tick(self) -> None:
        """20 ms: what was said becomes what will be heard."""
        ended: list[Overlay] = []
        for seat in self.seats:
            frames = [other.said for other in seat.hears if other.said is not SILENCE_FRAME]
            if seat.background is not None and (frame := seat.background.next_frame()) is not SILENCE_FRAME:
                frames.append(frame)
            if seat.overlays:
                clip = seat.overlays[0].clip.next_frame()
                if clip is None:
                    ended.append(seat.overlays.popleft())
                else:
                    frames.append(clip)
            seat.heard = mix(frames)
        if self.recording is not None:
            talk = [s.said for s in self.seats if not (s.muted or s.hold) and s.said is not SILENCE_FRAME]
            self.recording.write(mix(talk) or SILENCE_FRAME, SILENCE_FRAME)
        if "speaker" in self.settings.status_callback_events:
            self._listen()
        for seat in self.seats:
            seat.said = SILENCE_FRAME
        if ended:
            self.rewire()
        for overlay in ended:
            if overlay.done is not None:
                overlay.done()

    def alone(self) -> list[dict[str, Any]]:
        """Intervals (seconds since the epoch) in which one was in it alone, and how much of it others were dialled."""
        ends = [at for at, _, _ in self.timeline[1:]] + [self.ended_s or now_s()]
        found: list[dict[str, Any]] = []
        for (start, seats, dialling), end in zip(self.timeline, ends, strict=False):
            if len(seats) != 1:
                continue
            dialling_s = end - start if dialling else 0.0
            if found and found[-1]["call_sid"] == seats[0] and found[-1]["end"] == start:
                found[-1]["end"] = end
                found[-1]["dialling_s"] += dialling_s
            else:
                found.append({"call_sid": seats[0], "start": start, "end": end, "dialling_s": dialling_s})
        return [one | {"seconds": one["end"] - one["start"]} for one in found]

    def _end_if_empty(self, reason: str, seat: Seat) -> None:
        if not self.seats and not self.invited and self.is_live:
            self._end(reason, seat, ENDED_BY_API)

    def _end(self, reason: str, by: Seat | None, others_left: str) -> None:
        for seat in list(self.seats):
            self._remove(seat, others_left)
        self.ended_s = self.updated_s = now_s()
        self.reason_ended, self.ended_by = reason, by.call.sid if by else None
        self._note()
        extra = {"ReasonConferenceEnded": reason, "Reason": reason.replace("-", " ")}
        if by is not None:
            extra |= {"CallSidEndingConference": by.call.sid}
            if by.settings.label:
                extra |= {"ParticipantLabelEndingConference": by.settings.label}
        self.tell(self, "conference-end", None, extra)

    def _remove(self, seat: Seat, because: str) -> None:
        self.seats.remove(seat)
        seat.left_s, seat.left_because = now_s(), because
        seat.hears, seat.heard, seat.sources = (), None, NOTHING
        self._note()
        self._tell_left(seat)
        if not seat.left.done():
            seat.left.set_result(because)

    def _tell_left(self, seat: Seat) -> None:
        extra = {"ReasonParticipantLeft": seat.left_because or "", "ParticipantCallStatus": seat.call.status}
        self.tell(self, "participant-leave", seat, extra)

    def _beep(self, about: Seat) -> None:
        self.overlay([seat for seat in self.seats if seat is not about], "beep", BEEP)

    def _note(self) -> None:
        self.timeline.append((now_s(), tuple(seat.call.sid for seat in self.seats), len(self.invited)))

    def _listen(self) -> None:
        for seat in self.seats:
            if is_sound(seat.said):
                if seat.quiet_frames >= SPEECH_ENDS_AFTER_FRAMES:
                    self.tell(self, "participant-speech-start", seat, {})
                seat.quiet_frames = 0
            else:
                seat.quiet_frames += 1
                if seat.quiet_frames == SPEECH_ENDS_AFTER_FRAMES:
                    self.tell(self, "participant-speech-stop", seat, {})


def _reaches(speaker: Seat, listener: Seat) -> bool:
    if speaker is listener or speaker.muted or speaker.hold:
        return False
    return speaker.coach is None or speaker.coach == listener.call.sid
