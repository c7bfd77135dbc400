"""Telephone sound: µ-law, 8 kHz, mono, in frames of 20 ms.

One byte is one sample, so 160 bytes are a frame and 8,000 bytes a second.
"""

import audioop
import io
import math
import struct
import wave

SAMPLE_RATE_HZ = 8000
FRAME_MS = 20
FRAME_S = FRAME_MS / 1000
FRAME_BYTES = SAMPLE_RATE_HZ * FRAME_MS // 1000
FRAMES_PER_S = 1000 // FRAME_MS
SILENCE_BYTE = b"\xff"
SILENCE_FRAME = SILENCE_BYTE * FRAME_BYTES
HEARD_RMS = 200
"""Root mean square (16-bit scale) above which a frame counts as sound rather than silence."""


def frames_of(seconds: float) -> int:
    """Whole frames in that many seconds, rounded."""
    return round(seconds * FRAMES_PER_S)


def is_sound(frame: bytes) -> bool:
    """Whether an ear would call this µ-law frame sound."""
    return frame is not SILENCE_FRAME and audioop.rms(audioop.ulaw2lin(frame, 2), 2) > HEARD_RMS


def quiet_at_first_s(ulaw: bytes) -> float:
    """How long a clip is silent before an ear would hear it."""
    frames = (ulaw[at : at + FRAME_BYTES] for at in range(0, len(ulaw), FRAME_BYTES))
    return next((place * FRAME_S for place, frame in enumerate(frames) if is_sound(frame)), 0.0)


def tone(frequency_hz: float, seconds: float, amplitude: int = 9000) -> bytes:
    """A sine in µ-law, such as a voicemail's beep."""
    count = int(seconds * SAMPLE_RATE_HZ)
    step = 2 * math.pi * frequency_hz / SAMPLE_RATE_HZ
    samples = (int(amplitude * math.sin(step * i)) for i in range(count))
    return audioop.lin2ulaw(struct.pack(f"<{count}h", *samples), 2)


def ulaw_from_wav(data: bytes) -> bytes:
    """The sound of a PCM WAV file of any rate and width as µ-law; raises ValueError when it is no such file."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            pcm = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise ValueError(f"not a PCM WAV file: {error}") from error
    if channels > 2:
        raise ValueError(f"a WAV file with {channels} channels cannot be played")
    if width == 1:
        pcm = audioop.bias(pcm, 1, -128)
    if channels == 2:
        pcm = audioop.tomono(pcm, width, 0.5, 0.5)
    pcm = audioop.lin2lin(pcm, width, 2)
    if rate != SAMPLE_RATE_HZ:
        pcm, _ = audioop.ratecv(pcm, 2, 1, rate, SAMPLE_RATE_HZ, None)
    return audioop.lin2ulaw(pcm, 2)


class Clip:
    """Sound handed out frame by frame, padded with silence at its end."""

    def __init__(self, ulaw: bytes) -> None:
        self._ulaw = ulaw
        self._at = 0

    def next_frame(self) -> bytes | None:
        """The next 20 ms, or None when all of it was handed out."""
        frame = self._ulaw[self._at : self._at + FRAME_BYTES]
        if not frame:
            return None
        self._at += FRAME_BYTES
        return frame if len(frame) == FRAME_BYTES else frame.ljust(FRAME_BYTES, SILENCE_BYTE)

    @property
    def duration_s(self) -> float:
        """Length of the whole clip in seconds."""
        return len(self._ulaw) / SAMPLE_RATE_HZ
