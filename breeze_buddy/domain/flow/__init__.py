"""The flow of a conversation: nodes, what each says, and the functions through which it goes on.

One definition serves every dialogue engine: the scripted engine chooses a function by phrases and
digits; an engine with a language model chooses it by name and description, with its typed parameters.

    nodes:
      ask:      say "… is that right?"   functions: confirm → thanks, change → address
      address:  say "What is the new address?"   capture words as new_address → thanks
      thanks:   say "Thank you, goodbye."   end: confirmed

`texts` fills placeholders, `typed_values` reads and limits values, `conditions` decides by them, `functions` and
`actions` are what nodes offer and do, `graph` holds the nodes together, `inspection` finds what is allowed and hardly
meant.
"""

from breeze_buddy.domain.flow.actions import (
    Action,
    CollectDigits,
    DoNotCall,
    EndConversation,
    HttpRequest,
    ScheduleCallback,
    TransferToAgent,
)
from breeze_buddy.domain.flow.conditions import AllOf, AnyOf, Check, Condition, Not, holds
from breeze_buddy.domain.flow.functions import Capture, Function, Parameter
from breeze_buddy.domain.flow.graph import TRANSFER_RESULT, VOICEMAIL, Flow
from breeze_buddy.domain.flow.nodes import Interruption, Node
from breeze_buddy.domain.flow.routes import Route, Way, targets, way_on
from breeze_buddy.domain.flow.texts import Identifier, fill, placeholders, words_of
from breeze_buddy.domain.flow.typed_values import NotAValue, Typed, ValueType, json_schema, read_value

__all__ = [
    "TRANSFER_RESULT",
    "VOICEMAIL",
    "Action",
    "AllOf",
    "AnyOf",
    "Capture",
    "Check",
    "CollectDigits",
    "Condition",
    "DoNotCall",
    "EndConversation",
    "Flow",
    "Function",
    "HttpRequest",
    "Identifier",
    "Interruption",
    "Node",
    "Not",
    "NotAValue",
    "Parameter",
    "Route",
    "ScheduleCallback",
    "TransferToAgent",
    "Typed",
    "ValueType",
    "Way",
    "fill",
    "holds",
    "json_schema",
    "placeholders",
    "read_value",
    "targets",
    "way_on",
    "words_of",
]
