"""How somebody enters a conference: attributes of `<Conference>`, which `POST …/Participants` takes by other names."""

from dataclasses import dataclass

EVENTS = ("start", "end", "join", "leave", "mute", "hold", "modify", "speaker", "announcement")
DEFAULT_EVENTS = ("start", "end")
MAX_PARTICIPANTS = 250


@dataclass(frozen=True)
class JoinSettings:
    """One participant's settings.

    ``wait_url`` None is the simulator's own music and '' is silence. ``beep`` is true, false, onEnter or onExit.
    The ``status_callback…`` and ``record…`` fields count only for the participant who creates the conference.
    """

    name: str
    label: str = ""
    muted: bool = False
    beep: str = "true"
    start_on_enter: bool = True
    end_on_exit: bool = False
    wait_url: str | None = None
    wait_method: str = "POST"
    max_participants: int = MAX_PARTICIPANTS
    coach: str | None = None
    status_callback: str | None = None
    status_callback_method: str = "POST"
    status_callback_events: tuple[str, ...] = DEFAULT_EVENTS
    record: bool = False
    recording_callback: str | None = None
    recording_callback_method: str = "POST"
    recording_callback_events: tuple[str, ...] = ("completed",)

    @property
    def beeps_on_enter(self) -> bool:
        """Whether the others hear them come."""
        return self.beep in ("true", "onEnter")

    @property
    def beeps_on_exit(self) -> bool:
        """Whether the others hear them go."""
        return self.beep in ("true", "onExit")
