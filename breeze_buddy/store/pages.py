"""Pages of a table, in an order in which no two rows are alike: each begins behind the last row of the one before."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, literal, tuple_


def behind(order: Sequence[Column[Any]], last: Sequence[object]) -> ColumnElement[bool]:
    """The rows that come after the one with the values `last` in the columns `order`.

    Compared as a whole row, so that an index of these columns begins there; with OR between them it would be read from
    its beginning for each page.
    """
    values = (literal(value, column.type) for column, value in zip(order, last, strict=True))
    return tuple_(*order) > tuple_(*values)
