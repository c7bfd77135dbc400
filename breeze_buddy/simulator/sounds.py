"""What a URL gives to hear: a WAV file, or a document with Say, Play, Pause and Redirect, as one clip of µ-law.

For `<Play>`, for the music of those who wait or are on hold, and for announcements.
"""

from breeze_buddy.simulator import twiml
from breeze_buddy.simulator.errors import CallFault
from breeze_buddy.simulator.sound import SAMPLE_RATE_HZ, SILENCE_BYTE, ulaw_from_wav
from breeze_buddy.simulator.speech import ANNOUNCER, Speech
from breeze_buddy.simulator.webhooks import Webhooks

FETCH_FAILED = 11200
PLAY_INVALID = 12300
DOCUMENTS_MAX = 5
LOOPS_MAX = 100


class Sounds:
    """Fetches and renders."""

    def __init__(self, speech: Speech, webhooks: Webhooks) -> None:
        self._speech = speech
        self._webhooks = webhooks

    async def played(self, url: str) -> bytes:
        """A WAV file, as `<Play>` fetches it. Raises CallFault 11200 or 12300."""
        answer = await self._webhooks.request("GET", url, [])
        if not answer.is_ok:
            raise CallFault(FETCH_FAILED, f"<Play>: {url} answered {answer.error or answer.status}")
        return _wav(url, answer.body)

    async def heard_at(self, url: str, method: str, form: list[tuple[str, str]]) -> bytes:
        """What a wait, hold or announce URL gives: all of it, one after the other. Raises CallFault."""
        for _ in range(DOCUMENTS_MAX):
            answer = await self._webhooks.request(method, url, form)
            if not answer.is_ok:
                raise CallFault(FETCH_FAILED, f"{url} answered {answer.error or answer.status}")
            if answer.body[:4] == b"RIFF":
                return _wav(url, answer.body)
            clip, onward = await self._document(twiml.parse(answer.body), url)
            if clip or onward is None:
                return clip
            url, method = onward.url, onward.method
        raise CallFault(FETCH_FAILED, f"More than {DOCUMENTS_MAX} documents without a sound, the last at {url}")

    async def prompt(self, verbs: tuple[twiml.Verb, ...], url: str | None) -> bytes:
        """The sound of what is nested in a `<Gather>`."""
        clip, _ = await self._document(list(verbs), url)
        return clip

    async def _document(self, verbs: list[twiml.Verb], url: str | None) -> tuple[bytes, twiml.Redirect | None]:
        parts: list[bytes] = []
        for verb in verbs:
            match verb:
                case twiml.Say():
                    parts.append(await self._speech.say(verb.text, ANNOUNCER) * _times(verb.loop))
                case twiml.Play() if verb.url:
                    parts.append(await self.played(twiml.resolve(url, verb.url)) * _times(verb.loop))
                case twiml.Pause():
                    parts.append(SILENCE_BYTE * round(verb.length_s * SAMPLE_RATE_HZ))
                case twiml.Redirect():
                    return b"".join(parts), twiml.Redirect(twiml.resolve(url, verb.url), verb.method)
                case _:
                    raise CallFault(twiml.INVALID_ELEMENT, f"{type(verb).__name__} cannot be used here")
        return b"".join(parts), None


def _times(loop: int) -> int:
    """Times to play; what would repeat for ever is repeated by whoever plays the clip."""
    return 1 if loop == 0 else min(loop, LOOPS_MAX)


def _wav(url: str, body: bytes) -> bytes:
    try:
        return ulaw_from_wav(body)
    except ValueError as error:
        raise CallFault(PLAY_INVALID, f"<Play>: {url} is {error}") from error
