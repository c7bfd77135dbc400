"""Which function did the caller mean? Phrases against what was said, exactly and explainably.

Both are brought to the same form first: lower case, no punctuation, short forms written out ("don't" is
"do not"), number words as digits. Then, over all functions of the node:

1. A phrase matches where its words stand in a row, except right behind a "not" or "never" that it does not
   contain itself: "that is not correct" has no "correct".
2. The phrase with the most words wins, so "not correct" and "do not call me" beat "correct" and "call me".
3. Of equally long ones the one said first wins, because the answer comes before its reasons: "yes, no problem".
4. Of those, the function that the template names first.
"""

from collections.abc import Sequence

from breeze_buddy.domain.flow import Function, words_of
from breeze_buddy.media.spoken_numbers import number_words_as_digits

_SHORT_FORMS = {
    "n't": "not", "'m": "am", "'re": "are", "'ve": "have", "'ll": "will", "'d": "would",
}  # fmt: skip
_WHOLE = {
    "can't": ("can", "not"), "cannot": ("can", "not"), "won't": ("will", "not"), "it's": ("it", "is"),
    "that's": ("that", "is"), "what's": ("what", "is"), "let's": ("let", "us"), "gonna": ("going", "to"),
    "wanna": ("want", "to"), "yeah": ("yes",), "yep": ("yes",), "yup": ("yes",), "nope": ("no",), "okay": ("ok",),
}  # fmt: skip
_NEGATIONS = frozenset({"not", "never"})
_BETWEEN = frozenset({"a", "the", "quite", "really", "very", "entirely", "all", "at", "so", "that"})
_FILLERS = frozenset(
    {"please", "thanks", "thank", "you", "um", "uh", "er", "well", "oh", "so", "ok", "hello", "hi", "sir", "madam"}
)


def normal_words(text: str) -> tuple[str, ...]:
    """The words that phrases are compared by."""
    words: list[str] = []
    for word in words_of(text.replace("’", "'")):
        words += _WHOLE.get(word) or _written_out(word)
    return number_words_as_digits(tuple(words))


def choose_function(said: str, functions: Sequence[Function], *, whole: bool = False) -> Function | None:
    """The function whose phrase was said; None when none was. `whole`: the phrase must be all that was said,
    but for fillers such as "please", because anything else is an answer of its own."""
    words = normal_words(said)
    best: tuple[tuple[int, int, int], Function] | None = None
    for place, function in enumerate(functions):
        for phrase in function.phrases:
            wanted = normal_words(phrase)
            at = _first_place(words, wanted)
            if at is None or (whole and _more_was_said(words, wanted, at)):
                continue
            rank = (len(wanted), -at, -place)
            if best is None or rank > best[0]:
                best = (rank, function)
    return best[1] if best else None


def _written_out(word: str) -> tuple[str, ...]:
    for ending, full in _SHORT_FORMS.items():
        if word.endswith(ending) and len(word) > len(ending):
            return word.removesuffix(ending), full
    return (word.strip("'"),)


def _first_place(words: tuple[str, ...], wanted: tuple[str, ...]) -> int | None:
    for at in range(len(words) - len(wanted) + 1):
        if words[at : at + len(wanted)] == wanted and not _negated(words, at):
            return at
    return None


def _negated(words: tuple[str, ...], at: int) -> bool:
    before = at - 1
    while before >= 0 and words[before] in _BETWEEN:
        before -= 1
    return before >= 0 and words[before] in _NEGATIONS


def _more_was_said(words: tuple[str, ...], wanted: tuple[str, ...], at: int) -> bool:
    rest = words[:at] + words[at + len(wanted) :]
    return any(word not in _FILLERS and word not in wanted for word in rest)
