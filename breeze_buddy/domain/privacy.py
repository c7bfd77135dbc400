"""What may be kept of an answer that nobody may keep: a card number, a code, a password.

A full number never reaches the database, Temporal or a log. The last four digits are kept of a number long enough
that they do not give it away (a payment card has 12 to 19 digits); of anything shorter, and of words, nothing is.
What was spoken may be a short code that was said twice: digits of it are kept only where so many were asked for.
"""

MASK = "•••"
KEPT_DIGITS = 4
SHORTEST_NUMBER_SHOWN_IN_PART = 12


def masked(answer: str, *, exact: bool) -> str:
    """`answer` as it may be kept: "4242424242424242" → "•••4242", "123" → "•••".

    It is `exact` when it was pressed, or has as many digits as were asked for.
    """
    if exact and answer.isdigit() and len(answer) >= SHORTEST_NUMBER_SHOWN_IN_PART:
        return MASK + answer[-KEPT_DIGITS:]
    return MASK


def shown_part(kept: str) -> str:
    """What a masked answer still shows: "•••4242" → "4242", "•••" → ""."""
    return kept.removeprefix(MASK)
