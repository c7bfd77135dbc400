"""Codes and long numbers, written so that a voice reads them one character at a time."""

import re

LONG_NUMBER_DIGITS = 7
"""From here on digits are a telephone or account number rather than a quantity."""

_CODE = re.compile(r"(?<![\w.,])(?=[A-Z0-9]*[A-Z])(?=[A-Z0-9]*[0-9])[A-Z0-9]{2,}(?!\w)")
_QUANTITY = re.compile(r"[0-9]+(AM|PM|K|M|KG|KM|CM|MM|GB|MB|TB)")
_LONG_NUMBER = re.compile(rf"(?<![\w.,])\+?[0-9]{{{LONG_NUMBER_DIGITS},}}(?!\w)")


def spell_out(text: str) -> str:
    """`text` with codes ("AB12") and long numbers one character at a time: "A, B, 1, 2"."""
    text = _CODE.sub(lambda found: found[0] if _QUANTITY.fullmatch(found[0]) else ", ".join(found[0]), text)
    return _LONG_NUMBER.sub(lambda found: " ".join(found[0].lstrip("+")), text)
