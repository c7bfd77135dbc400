"""Lists as Twilio pages them: page and page size, and a token that keeps its place while new items arrive."""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Protocol, TypeVar
from urllib.parse import urlencode

PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MAX = 1000
_PAGING = ("Page", "PageSize", "PageToken")


class Listed(Protocol):
    """Anything with an identifier."""

    @property
    def sid(self) -> str:
        """Its identifier."""


T = TypeVar("T", bound=Listed)


def page_of(
    items: Iterable[T], *, path: str, query: Mapping[str, str], key: str, show: Callable[[T], dict[str, Any]]
) -> dict[str, Any]:
    """One page of ``items`` (newest first) under ``key``, with links to its neighbours.

    A token names the last item of the page before, so that items which arrived since do not shift the page.
    """
    size = min(max(_number(query, "PageSize", PAGE_SIZE_DEFAULT), 1), PAGE_SIZE_MAX)
    page = _number(query, "Page", 0)
    rest = iter(items)
    after = query.get("PageToken", "").removeprefix("PA")
    if after:
        for item in rest:
            if item.sid == after:
                break
    else:
        rest = islice(rest, page * size, None)
    shown = list(islice(rest, size + 1))
    more, shown = len(shown) > size, shown[:size]

    def link(number: int, token: str | None = None) -> str:
        asked = {name: value for name, value in query.items() if name not in _PAGING}
        place = {"PageSize": str(size), "Page": str(number)} | ({"PageToken": token} if token else {})
        return f"{path}?{urlencode(asked | place)}"

    return {
        "first_page_uri": link(0),
        "next_page_uri": link(page + 1, "PA" + shown[-1].sid) if more else None,
        "previous_page_uri": link(page - 1) if page else None,
        "page": page,
        "page_size": size,
        "start": page * size,
        "end": page * size + max(len(shown) - 1, 0),
        "uri": link(page, query.get("PageToken")),
        key: [show(item) for item in shown],
    }


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, "")
    return int(text) if text.isdigit() else default
