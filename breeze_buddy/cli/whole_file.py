"""A file that is there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from breeze_buddy.cli.errors import FileError


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which gets its name when the block ends well and is removed when it does not.

    Raises FileError when it cannot be written.
    """
    beside = path.with_name(path.name + ".part")
    try:
        file = beside.open("wb")
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror or error}") from None
    try:
        with file:
            yield file
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
