"""Where a conversation goes on: to one node, or to the first of several whose condition holds.

go: thanks
go: [{when: {variable: total, at_least: 100}, go: manager}, {go: thanks}]
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from breeze_buddy.domain.flow.conditions import Condition, holds
from breeze_buddy.domain.flow.texts import FlowModel, Identifier


class Route(FlowModel):
    """One way on; without `when` it is always open."""

    when: Condition | None = None
    go: Identifier


def _always_leads_on(routes: tuple[Route, ...]) -> tuple[Route, ...]:
    if routes[-1].when is not None:
        raise ValueError("the last of several ways must be without `when`: it is taken when no other is open")
    if any(route.when is None for route in routes[:-1]):
        raise ValueError("only the last of several ways may be without `when`: those behind it are never taken")
    return routes


Way = Identifier | Annotated[tuple[Route, ...], Field(min_length=1, max_length=50), AfterValidator(_always_leads_on)]


def way_on(way: Way, values: Mapping[str, str]) -> str:
    """The node that `way` leads to for these values."""
    if isinstance(way, str):
        return way
    return next(route.go for route in way if route.when is None or holds(route.when, values))


def targets(way: Way | None) -> tuple[str, ...]:
    """All nodes that it can lead to."""
    if way is None:
        return ()
    return (way,) if isinstance(way, str) else tuple(route.go for route in way)


def conditions(way: Way | None) -> tuple[Condition, ...]:
    """All conditions that it asks."""
    if way is None or isinstance(way, str):
        return ()
    return tuple(route.when for route in way if route.when is not None)
