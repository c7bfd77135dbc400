"""Which of many values a column holds: one question for all of them, each looked up in the index."""

from collections.abc import Sequence

from sqlalchemy import Column, ColumnElement, String, cast, func, literal, select, text, true
from sqlalchemy.dialects.postgresql import ARRAY

from breeze_buddy.store.database import Transaction

# Well below the parameters that a statement may have on SQLite.
_PAGE = 500
# A plan that was kept from when the table was small would read all of it for each value, until statistics come.
_PLAN_ANEW = text("SELECT set_config('plan_cache_mode', 'force_custom_plan', true)")


def unforeseen(value: str) -> ColumnElement[str]:
    """A value that is not known when a statement is planned. Of one that its statistics have never seen, such as a
    campaign that is new, PostgreSQL thinks that it has no rows, and then takes any index that begins with it: the whole
    campaign would be read for each value that is looked up."""
    return select(literal(value)).scalar_subquery()


async def present(tx: Transaction, column: Column[str], values: Sequence[str], *where: ColumnElement[bool]) -> set[str]:
    """Those of `values` that a row has in `column` for which all of `where` hold."""
    if len(values) > 1 and tx.dialect.name == "postgresql":
        await tx.execute(_PLAN_ANEW)
        # After IN, a long list would be compared with row after row.
        value = func.unnest(cast(list(values), ARRAY(String))).column_valued("value")
        found = select(literal(1)).where(column == value, *where).limit(1).lateral()
        return set(await tx.scalars(select(value).join(found, true())))
    known: set[str] = set()
    for start in range(0, len(values), _PAGE):
        page = values[start : start + _PAGE]
        known.update(await tx.scalars(select(column).where(column.in_(page), *where)))
    return known
