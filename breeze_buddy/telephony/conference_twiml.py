"""TwiML of a warm transfer: the customer into the conference, the human briefed and let in, music meanwhile."""

from dataclasses import dataclass

from twilio.twiml.voice_response import Dial, Gather, VoiceResponse  # type: ignore[import-untyped]

ACCEPT_DIGIT = "1"
_EVENTS = "start end join leave"


@dataclass(frozen=True, slots=True)
class ConferenceRoom:
    """A conference by its name, with where its news and its music come from."""

    name: str
    status_url: str
    music_url: str


def customer(room: ConferenceRoom, *, after_url: str) -> str:
    """The customer waits with music until the human comes; `after_url` is asked when the conference is over."""
    response = VoiceResponse()
    dial = Dial(action=after_url, method="POST")
    dial.conference(
        room.name,
        start_conference_on_enter=False,
        end_conference_on_exit=True,
        beep="false",
        participant_label="customer",
        wait_url=room.music_url,
        wait_method="POST",
        status_callback=room.status_url,
        status_callback_event=_EVENTS,
    )
    response.append(dial)
    return str(response)


def brief_human(*, briefing: str, accept_url: str) -> str:
    """The human hears the briefing; who listens to its end accepts."""
    response = VoiceResponse()
    if briefing:
        response.say(briefing)
    response.redirect(accept_url, method="POST")
    return str(response)


def human(room: ConferenceRoom) -> str:
    """The human is let in; when they leave, the conference is over."""
    response = VoiceResponse()
    dial = Dial()
    dial.conference(
        room.name,
        start_conference_on_enter=True,
        end_conference_on_exit=True,
        beep="false",
        participant_label="agent",
        wait_url="",
        status_callback=room.status_url,
        status_callback_event=_EVENTS,
    )
    response.append(dial)
    return str(response)


def ask_human(*, briefing: str, accept_url: str, timeout_s: int) -> str:
    """The human hears the briefing and accepts by a digit; without one the call ends."""
    response = VoiceResponse()
    gather = Gather(input="dtmf", num_digits=1, timeout=timeout_s, action=accept_url, method="POST")
    gather.say(f"{briefing} Press {ACCEPT_DIGIT} to take the call.")
    response.append(gather)
    response.hangup()
    return str(response)


def music(*, music_url: str, comfort: str) -> str:
    """What waiting sounds like: some music, a kind word; Twilio asks for it again when it is over."""
    response = VoiceResponse()
    response.play(music_url)
    response.say(comfort)
    return str(response)
