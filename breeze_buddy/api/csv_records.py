"""CSV (RFC 4180) out of pieces of a file: bytes go in as they arrive, rows come out as soon as they are whole.

Nothing but the row that is not whole yet is kept, so the size of a file does not matter.
"""

import codecs
import csv
import io
from collections.abc import Iterator
from typing import NamedTuple

from breeze_buddy.domain.errors import DomainError

# A row of the most variables that a lead may have, each as long as it may be, many times over.
MAX_ROW_CHARACTERS = 1_000_000


class MalformedCsv(DomainError):
    """A file that cannot be read from this place on."""

    code = "malformed_csv"


class Record(NamedTuple):
    """A row that is not empty: the line of the file on which it begins (the first is 1), and its cells, stripped."""

    line: int
    cells: list[str]


class RecordReader:
    """Takes a file in pieces of any size, cut anywhere.

    `line` is the last line of which rows were given. UTF-8, with or without a byte order mark; lines end in any
    of the three ways; a quoted cell may hold line ends. Every method raises MalformedCsv, which names the line.
    """

    def __init__(self) -> None:
        self.line = 0
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        # The beginning of a line, and the whole lines of a row whose quote is still open.
        self._rest = ""
        self._open: list[str] = []

    def feed(self, data: bytes) -> list[Record]:
        """The rows that are whole now."""
        return self._read(self._decode(data, final=False), final=False)

    def end(self) -> list[Record]:
        """The last row, which need not end its line. A quote that was never closed is an error."""
        return self._read(self._decode(b"", final=True), final=True)

    def _decode(self, data: bytes, *, final: bool) -> str:
        try:
            return self._decoder.decode(data, final)
        except UnicodeDecodeError as error:
            before = len(self._open) + error.object[: error.start].count(b"\n")
            raise MalformedCsv(f"line {self.line + before + 1}: the file is not UTF-8: save it as CSV UTF-8") from error

    def _read(self, text: str, *, final: bool) -> list[Record]:
        lines = list(io.StringIO(self._rest + text, newline=""))
        self._rest = ""
        # "\r" may be the first half of a line's end.
        if lines and not final and not lines[-1].endswith("\n"):
            self._rest = lines.pop()
        whole = self._whole_rows(lines, final=final)
        if len(self._rest) + sum(map(len, self._open)) > MAX_ROW_CHARACTERS:
            raise MalformedCsv(
                f"line {self.line + len(whole) + 1}: a row of more than {MAX_ROW_CHARACTERS} characters begins here;"
                " look for a quote that is not closed"
            )
        return list(self._records(whole))

    def _whole_rows(self, lines: list[str], *, final: bool) -> list[str]:
        """The lines up to the end of the last row that is whole; the others wait."""
        if not self._open and not any('"' in line for line in lines):
            return lines
        whole: list[str] = []
        for line in lines:
            inside = _ends_in_quotes(line, bool(self._open))
            self._open.append(line)
            if not inside:
                whole += self._open
                self._open = []
        if final:
            whole += self._open
            self._open = []
        return whole

    def _records(self, lines: list[str]) -> Iterator[Record]:
        before = self.line
        rows = csv.reader(lines, strict=True)
        begins = 1
        try:
            for row in rows:
                cells = [cell.strip() for cell in row]
                if any(cells):
                    if any("\0" in cell for cell in cells):
                        raise MalformedCsv(f"line {before + begins}: it holds a zero byte: save the file as CSV UTF-8")
                    yield Record(before + begins, cells)
                begins = rows.line_num + 1
        except csv.Error as error:
            raise MalformedCsv(f"line {before + rows.line_num}: {error}") from error
        self.line = before + len(lines)


def _ends_in_quotes(line: str, inside: bool) -> bool:
    """Whether a quoted cell is still open at the end of `line`; `inside`: one is open at its beginning.

    A quote opens a cell only as its first character, and two of them inside are one of the text.
    """
    place = 0
    while True:
        if not inside:
            if not line.startswith('"', place):
                comma = line.find(",", place)
                if comma < 0:
                    return False
                place = comma + 1
                continue
            place += 1
            inside = True
        quote = line.find('"', place)
        if quote < 0:
            return True
        if line.startswith('"', quote + 1):
            place = quote + 2
            continue
        inside = False
        comma = line.find(",", quote)
        if comma < 0:
            return False
        place = comma + 1
