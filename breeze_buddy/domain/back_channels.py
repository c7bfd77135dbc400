"""Back-channels: what people say to show that they listen ("mm-hm"), and not to take the word.

Words that are answers as often ("yes", "no") are not among them.
"""

from collections.abc import Mapping
from functools import cache

from breeze_buddy.domain.flow import words_of

BACK_CHANNELS: Mapping[str, tuple[str, ...]] = {
    "en": (
        "mm-hm", "mmhm", "mhm", "mm", "mmm", "hm", "hmm", "uh-huh", "aha", "ah", "oh", "uh", "um", "er", "huh",
        "okay", "ok", "right", "all right", "alright", "i see", "got it", "sure",
    ),
    "de": ("mhm", "hm", "hmm", "aha", "ach so", "okay", "ok", "ja ja", "genau", "verstehe", "gut", "äh", "ähm"),
    "es": ("mhm", "ajá", "aja", "hm", "hmm", "ah", "vale", "ya", "claro", "okay", "ok", "entiendo", "eh"),
    "fr": ("mhm", "hm", "hmm", "ah", "euh", "d'accord", "ok", "okay", "je vois", "ah bon", "entendu", "hein"),
    "hi": ("हम्म", "हूँ", "हूं", "अच्छा", "ठीक", "ठीक है", "hmm", "hm", "accha", "achha", "theek hai", "okay", "ok"),
    "it": ("mhm", "hm", "hmm", "ah", "eh", "ok", "okay", "certo", "capisco", "va bene", "ho capito"),
    "nl": ("mhm", "hm", "hmm", "aha", "oké", "ok", "okay", "juist", "precies", "ja ja", "eh"),
    "pt": ("mhm", "hm", "hmm", "ah", "ahã", "aham", "ok", "okay", "certo", "tá", "entendi", "claro", "é"),
}  # fmt: skip
"""By the language of the template's transcriber."""


def usual_in(language: str) -> tuple[str, ...]:
    """The list for a language such as en-GB; English for one without a list; all of them for `multi`."""
    if language == "multi":
        return tuple(dict.fromkeys(phrase for phrases in BACK_CHANNELS.values() for phrase in phrases))
    return BACK_CHANNELS.get(language.split("-")[0].lower(), BACK_CHANNELS["en"])


def is_back_channel(text: str, phrases: tuple[str, ...]) -> bool:
    """Whether `text` consists of these phrases only, of one or several. Nothing at all is no back-channel."""
    words = words_of(text)
    return bool(words) and _made_of(words, _split(phrases))


def counting_words(text: str, phrases: tuple[str, ...]) -> int:
    """How many words somebody said who wants the word: none, when all of it is back-channel."""
    return 0 if is_back_channel(text, phrases) else len(words_of(text))


@cache
def _split(phrases: tuple[str, ...]) -> frozenset[tuple[str, ...]]:
    return frozenset(words_of(phrase) for phrase in phrases) - {()}


def _made_of(words: tuple[str, ...], phrases: frozenset[tuple[str, ...]]) -> bool:
    reached = {0}
    for at in range(len(words)):
        if at in reached:
            reached |= {at + len(phrase) for phrase in phrases if words[at : at + len(phrase)] == phrase}
    return len(words) in reached
