"""Times that people give for later: aware, and near enough that every clock and every timer can reach them."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime

_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
_LAST = datetime(2200, 1, 1, tzinfo=UTC)


def _reachable(moment: datetime) -> datetime:
    if not _FIRST <= moment < _LAST:
        raise ValueError("the year is to be from 2000 to 2199; leave the time out where there is to be none")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_reachable)]
"""A pydantic field type: a time with its zone, in the years 2000 to 2199."""
