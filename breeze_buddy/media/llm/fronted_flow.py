"""A conversation by a model in front of the flow's own: what is known and remembered stays the flow's."""

from collections.abc import AsyncIterator

from breeze_buddy.domain.conversation import HalfFilled
from breeze_buddy.media.engines import Reply
from breeze_buddy.media.llm.guided_flow import GuidedFlow


class FrontedFlow:
    """What any conversation must tell of itself, told by the flow behind it."""

    def __init__(self, flow: GuidedFlow) -> None:
        self._flow = flow

    @property
    def node(self) -> str:
        return self._flow.node

    @property
    def answers(self) -> dict[str, str]:
        return self._flow.answers

    @property
    def reprompts(self) -> int:
        return self._flow.reprompts

    @property
    def parting(self) -> bool:
        return self._flow.parting

    @property
    def filling(self) -> HalfFilled | None:
        return self._flow.filling

    @property
    def private(self) -> bool:
        return self._flow.private

    @property
    def attentive(self) -> bool:
        return self._flow.attentive

    def completes(self, keys: str) -> bool:
        return self._flow.completes(keys)

    def begin(self) -> AsyncIterator[Reply]:
        return self._flow.begin()
