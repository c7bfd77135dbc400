"""What a flow's texts sound like: with the lead's variables and the caller's answers in them, by a node's rules."""

from collections.abc import Mapping

from breeze_buddy.domain.flow import Flow, Node, fill
from breeze_buddy.domain.privacy import shown_part
from breeze_buddy.media.engines import Say
from breeze_buddy.media.spoken_values import read_back


class Wording:
    """Of one conversation, whose `answers` grow. `found` are the values of a function that still lacks some."""

    def __init__(self, flow: Flow, *, variables: Mapping[str, str], answers: Mapping[str, str]) -> None:
        self._variables = variables
        self._answers = answers
        self._typed = flow.typed_answers
        nodes = flow.nodes.values()
        self.sensitive = frozenset(node.captures.name for node in nodes if node.captures is not None and node.private)

    def values(self, found: Mapping[str, str]) -> dict[str, str]:
        """All that is known, as conditions and servers take it."""
        return {**self._variables, **self._answers, **found}

    def filled(self, text: str, found: Mapping[str, str]) -> str:
        """As it is said: dictated numbers digit by digit, dates in words, and of what is sensitive only the end."""
        spoken = dict(self._variables)
        for name, value in {**self._answers, **found}.items():
            shown = shown_part(value) if name in self.sensitive else value
            typed = self._typed.get(name)
            spoken[name] = read_back(typed, shown) if typed is not None else shown
        return fill(text, spoken)


def said_at(node: Node, text: str) -> Say:
    """`text` as it is, with the node's rules for interruptions and silence."""
    rules = node.interruption
    return Say(
        text,
        interruptible=rules.barge_in,
        min_ms=rules.min_ms,
        min_words=rules.min_words,
        no_input_s=node.no_input_s,
    )
