"""What the demo's agent says: an order is confirmed, with ways out for everybody it may reach."""

from datetime import timedelta

from breeze_buddy.domain.flow import DoNotCall, EndConversation, Flow, Function, Node, ScheduleCallback
from breeze_buddy.domain.retry import RetryPolicy
from breeze_buddy.domain.template import Template
from breeze_buddy.domain.turns import Turns

CALL_BACK_AFTER_S = 4
COOLDOWN_S = 3
MAX_RETRIES = 1

_CONFIRM = Function(
    name="confirm",
    description="The order is right.",
    phrases=("yes", "correct", "that is right", "sure"),
    digits="1",
    answers={"order": "confirmed"},
    go="delivery",
)
_CHANGE = Function(
    name="change",
    description="Something about the order is wrong.",
    phrases=("no", "wrong", "not right"),
    digits="2",
    answers={"order": "to be changed"},
    go="changed",
)
_LATER = Function(
    name="later",
    description="The caller has no time now.",
    phrases=("call me back", "call back", "call me later", "not now"),
    digits="3",
    go="later",
)
_STOP = Function(
    name="stop",
    description="The caller does not want to be called.",
    phrases=("do not call", "don't call", "stop calling", "remove me"),
    digits="9",
    go="stopped",
)

TEMPLATE = Template(
    name="order-confirmation",
    flow=Flow(
        start="order",
        nodes={
            "order": Node(
                say="Hello {name}, this is Breeze. You ordered {item}. Is that correct?",
                reprompt="Please say yes or no, or press 1 for yes and 2 for no.",
                max_reprompts=1,
                functions=(_STOP, _LATER, _CHANGE, _CONFIRM),
            ),
            "delivery": Node(
                say="Shall we deliver it tomorrow?",
                max_reprompts=1,
                functions=(
                    Function(
                        name="tomorrow",
                        phrases=("yes", "please", "sure"),
                        digits="1",
                        answers={"delivery": "tomorrow"},
                        go="anything",
                    ),
                    Function(
                        name="another_day", phrases=("no",), digits="2", answers={"delivery": "later"}, go="anything"
                    ),
                ),
            ),
            "anything": Node(
                say="Is there anything else?",
                max_reprompts=1,
                functions=(
                    Function(name="nothing", phrases=("no", "that is all", "thank you"), digits="1", go="confirmed"),
                    Function(name="something", phrases=("yes",), digits="2", go="changed"),
                ),
                otherwise="confirmed",
            ),
            "confirmed": Node(say="Thank you, goodbye.", then=EndConversation(result="confirmed")),
            "changed": Node(say="Somebody will call you about it. Goodbye.", then=EndConversation(result="to_change")),
            "later": Node(
                say="We will call you again. Goodbye.",
                then=ScheduleCallback(after=timedelta(seconds=CALL_BACK_AFTER_S)),
            ),
            "stopped": Node(say="We will not call you again. Goodbye.", then=DoNotCall()),
        },
        goodbye="I could not hear you. Goodbye.",
    ),
    variables=("name", "item"),
    turns=Turns(no_input_s=3.0),
    retry=RetryPolicy(max_retries=MAX_RETRIES, cooldown=timedelta(seconds=COOLDOWN_S)),
    ring_timeout_s=20,
    max_call_s=60,
)
