"""Where in a document something is, as a person writes it: `flow.nodes.order.functions[0].go`."""

from collections.abc import Iterable


def place(location: Iterable[str | int]) -> str:
    """The place that pydantic or our API names by its parts; empty for the whole document."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text
