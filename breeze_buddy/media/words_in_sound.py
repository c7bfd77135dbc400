"""Where in a sentence's sound its words are, as far as that can be told without listening to them.

A word takes time by its length, and words part where it is quiet. So a place is estimated from the letters, and moved
to the quietest frame nearby.

    Is    your  order    of two   lamps   correct?
    ▂▇▇▁▃▇▇▅▂▄▇▇▇▅▃▁▁▁▁▂▆▂▇▇▅▁▃▇▇▇▅▁▂▇▇▇█▅▅▃▂
       ↑      ↑       ↑      ↑       ↑
"""

from breeze_buddy.media import mulaw
from breeze_buddy.media.engines import SpokenChunk

SHORTEST_FRAMES = 12
"""Of a piece: shorter words go together with the next, for a mark is sent after each piece."""
NEARBY_FRAMES = 6
WORD_LETTERS = 1.0
"""What a word takes besides its letters, in letters."""
FINAL_LETTERS = 5.0
"""What the last word takes besides: voices slow down at the end."""
PAUSE_LETTERS = 4.0
"""What a comma or a full stop inside the sentence takes."""


def pieces_of(chunk: SpokenChunk) -> list[SpokenChunk]:
    """The chunk word by word, or by a few short words. Their texts and sounds together are those of the chunk."""
    words = chunk.text.split()
    frames = mulaw.frames(chunk.audio)
    if len(words) < 2 or len(frames) < 2 * SHORTEST_FRAMES:
        return [chunk]
    loudness = [mulaw.level(mulaw.to_pcm(frame)) for frame in frames]
    weights = [WORD_LETTERS + sum(map(str.isalnum, word)) + PAUSE_LETTERS * (word[-1] in ",.;:?!") for word in words]
    weights[-1] += FINAL_LETTERS - PAUSE_LETTERS * (words[-1][-1] in ",.;:?!")
    now, ends = _sounding(loudness)
    left = sum(weights)
    pieces: list[SpokenChunk] = []
    at = first = 0
    for place, weight in enumerate(weights[:-1], 1):
        now = _quietest(loudness, round(now + (ends - now) * weight / left))
        left -= weight
        if now - at >= SHORTEST_FRAMES and len(frames) - now >= SHORTEST_FRAMES:
            pieces.append(_piece(chunk, words[first:place], at, now))
            at, first = now, place
    pieces.append(_piece(chunk, words[first:], at, len(frames)))
    return pieces


def _piece(chunk: SpokenChunk, words: list[str], begin: int, end: int) -> SpokenChunk:
    return SpokenChunk(" ".join(words), chunk.audio[begin * mulaw.FRAME_BYTES : end * mulaw.FRAME_BYTES])


def _sounding(loudness: list[int]) -> tuple[int, int]:
    """The frames between the silences at both ends."""
    heard = [at for at, level in enumerate(loudness) if level > max(loudness) / 20]
    return (heard[0], heard[-1] + 1) if heard else (0, len(loudness))


def _quietest(loudness: list[int], about: int) -> int:
    """The quietest frame nearby, and of several the nearest."""
    nearby = range(max(0, about - NEARBY_FRAMES), min(len(loudness), about + NEARBY_FRAMES + 1))
    return min(nearby, key=lambda at: (loudness[at], abs(at - about)), default=about)
