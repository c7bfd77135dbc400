"""How our models travel to Temporal and back: as JSON, by pydantic.

Temporal's client makes a converter anew for every step of a workflow, and a new one of pydantic's has to learn each
of our models again. Ours is made once for the process: it holds nothing but what it has learnt.
"""

from typing import Any

from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import DataConverter

_MADE = PydanticPayloadConverter()


class OnePayloadConverter(PydanticPayloadConverter):
    """Pydantic's converter, the same one however often it is made."""

    def __new__(cls) -> Any:
        return _MADE


data_converter = DataConverter(payload_converter_class=OnePayloadConverter)
