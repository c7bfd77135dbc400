"""CSV for spreadsheets, which run what looks like a formula.

A cell that begins with one of the characters `= + - @`, a tab or a line end is given an apostrophe in front,
which spreadsheets take as "this is text". Numbers and phone numbers in E.164 stay as they are: they begin with a
sign, and a spreadsheet that calculates them gets the number itself.
"""

import re

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?", re.ASCII)


def safe_cell(text: str) -> str:
    """`text` as a cell that no spreadsheet calculates."""
    if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text):
        return "'" + text
    return text
