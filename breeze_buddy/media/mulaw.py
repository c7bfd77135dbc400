"""µ-law at 8 kHz, as the telephone carries it: one byte is one sample, 160 bytes are a frame of 20 ms."""

import audioop

SAMPLE_RATE_HZ = 8000
FRAME_MS = 20
FRAME_S = FRAME_MS / 1000
FRAME_BYTES = SAMPLE_RATE_HZ * FRAME_MS // 1000
SILENCE = b"\xff"
QUIET_LEVEL = 60
"""Root mean square of 16-bit samples, about −55 dB: below it there is no speech that could be understood."""


def to_pcm(mulaw: bytes) -> bytes:
    """16-bit little-endian PCM at the same rate."""
    return audioop.ulaw2lin(mulaw, 2)


def from_pcm(pcm: bytes) -> bytes:
    """µ-law of 16-bit little-endian PCM at the same rate."""
    return audioop.lin2ulaw(pcm, 2)


def level(pcm: bytes) -> int:
    """Root mean square of 16-bit PCM: 0 is silence, about 2,600 a voice, 32,767 a full square wave."""
    return audioop.rms(pcm, 2)


def peak(pcm: bytes) -> int:
    """The loudest sample of 16-bit PCM, whatever its sign."""
    return audioop.max(pcm, 2)


def duration_s(mulaw: bytes) -> float:
    return len(mulaw) / SAMPLE_RATE_HZ


def voiced_s(mulaw: bytes) -> float:
    """How long it really sounds: without the frames that are far below its loudest one, in seconds."""
    levels = [level(to_pcm(frame)) for frame in frames(mulaw)]
    floor = max(QUIET_LEVEL, max(levels, default=0) / 20)
    return sum(one > floor for one in levels) * FRAME_S


def frames(mulaw: bytes) -> list[bytes]:
    """Frames of 20 ms; the last is filled up with silence."""
    cut = [mulaw[at : at + FRAME_BYTES] for at in range(0, len(mulaw), FRAME_BYTES)]
    if cut:
        cut[-1] = cut[-1].ljust(FRAME_BYTES, SILENCE)
    return cut
