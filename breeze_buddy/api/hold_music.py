"""Hold music of our own making: a slow arpeggio, as a WAV that a telephone can carry."""

import io
import math
import struct
import wave

_RATE_HZ = 8000
_NOTE_S = 0.5
_CHORDS_HZ = ((262, 330, 392, 523), (220, 262, 330, 440), (175, 220, 262, 349), (196, 247, 294, 392))


def _note(frequency_hz: float) -> bytes:
    count = int(_RATE_HZ * _NOTE_S)
    samples = (
        int(5000 * math.exp(-3 * place / count) * math.sin(2 * math.pi * frequency_hz * place / _RATE_HZ))
        for place in range(count)
    )
    return struct.pack(f"<{count}h", *samples)


def _wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as music:
        music.setnchannels(1)
        music.setsampwidth(2)
        music.setframerate(_RATE_HZ)
        music.writeframes(b"".join(_note(note) for chord in _CHORDS_HZ for note in chord))
    return file.getvalue()


HOLD_MUSIC_WAV = _wav()
"""Eight seconds, mono, 8 kHz, 16 bits."""
