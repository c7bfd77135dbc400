"""The built-in functions: what a node does after its message."""

import re
from datetime import time, timedelta
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from breeze_buddy.domain.flow.functions import Capture, Key
from breeze_buddy.domain.flow.patterns import Pattern
from breeze_buddy.domain.flow.routes import Way
from breeze_buddy.domain.flow.texts import FlowModel, Identifier, placeholders
from breeze_buddy.domain.promise import LONGEST_PROMISE, Callback, ClockTime


class EndConversation(FlowModel):
    """The built-in function `end_conversation`: hang up after the message, with a result."""

    action: Literal["end_conversation"] = "end_conversation"
    result: Identifier = "done"


class ScheduleCallback(FlowModel):
    """The built-in function `schedule_callback`: the lead is called again when it was promised.

    That is after `after`, or when the lead's own clock shows `at`; before both, what the caller said, if it is
    understood ("tomorrow at five", "in half an hour"). The calling window still holds.
    """

    action: Literal["schedule_callback"] = "schedule_callback"
    after: Annotated[timedelta, Field(gt=timedelta(0), le=LONGEST_PROMISE)] | None = None
    at: time | None = Field(None, description="a time on the lead's own clock, such as 17:00")
    days_ahead: int | None = Field(
        None, ge=0, le=LONGEST_PROMISE.days, description="with `at`: 1 is tomorrow; None: the next time it is `at`"
    )
    said: Identifier | None = Field(None, description="the answer in which the caller said when")
    result: Identifier = "callback"

    @model_validator(mode="after")
    def _one_time(self) -> Self:
        if (self.after is None) == (self.at is None):
            raise ValueError("schedule_callback needs either `after` or `at`, also for callers whose words say no time")
        if self.days_ahead is not None and self.at is None:
            raise ValueError("days_ahead goes with `at`, the time on that day")
        if self.at is not None and self.at.tzinfo is not None:
            raise ValueError("`at` is a time on the lead's own clock: write it without a zone")
        return self

    @property
    def callback(self) -> Callback:
        """What is promised when the caller's words say no time."""
        return self.after if self.after is not None else ClockTime(at=self.at, days_ahead=self.days_ahead)


class DoNotCall(FlowModel):
    """The built-in function `do_not_call`: the lead is finished and asked not to be called again."""

    action: Literal["do_not_call"] = "do_not_call"
    result: Identifier = "do_not_call"


class TransferToAgent(FlowModel):
    """The built-in function `transfer_to_agent`: a human takes over, by the template's transfer policy.

    `failed` is where the conversation goes on when no human could be had; {transfer_result} says why.
    """

    action: Literal["transfer_to_agent"] = "transfer_to_agent"
    reason: str = Field("", max_length=300, description="told to the human; may hold placeholders")
    failed: Way | None = Field(None, description="None: say that nobody could be reached, and goodbye")


class CollectDigits(FlowModel):
    """The built-in function `collect_digits`: the caller presses or says a number, which is an answer.

    A `secret` one is asked for while the recording is paused, and kept nowhere but for its last four digits.
    """

    action: Literal["collect_digits"] = "collect_digits"
    name: Identifier
    length: int | None = Field(None, ge=1, le=32, description="how many; None: until the terminator or a pause")
    min_length: int | None = Field(None, ge=1, le=32)
    max_length: int | None = Field(None, ge=1, le=32)
    pattern: Pattern | None = None
    terminator: Key | None = "#"
    secret: bool = False
    go: Way

    @model_validator(mode="after")
    def _as_capture(self) -> Self:
        _ = self.capture  # its rules are those of a capture
        return self

    @property
    def capture(self) -> Capture:
        """The same, as what a node captures."""
        return Capture(
            name=self.name,
            kind="digits",
            length=self.length,
            min_length=self.min_length,
            max_length=self.max_length,
            pattern=self.pattern,
            terminator=self.terminator,
            go=self.go,
        )


Json = str | int | float | bool | None | list[Any] | dict[str, Any]


class HttpRequest(FlowModel):
    """The built-in function `http_request`: ask a server, keep fields of its JSON answer, and go on.

    The host must be on the platform's list (`HTTP_REQUEST_HOSTS`). Placeholders may stand in the path and the query of
    `url`, where they are escaped, in headers, and in texts of `body`. Any answer but 2xx, and none within `timeout_s`,
    goes `failed`.
    """

    action: Literal["http_request"] = "http_request"
    method: Literal["GET", "POST"] = "GET"
    url: str = Field(min_length=1, max_length=2000)
    headers: dict[str, str] = Field({}, max_length=20)
    body: Json = Field(None, description="POST: the JSON that is sent")
    timeout_s: float = Field(5, gt=0, le=30)
    save: dict[Identifier, str] = Field(
        {},
        max_length=50,
        description="answers by name, each from a path in the JSON answer, such as order.items.0.name",
    )
    filler: str | None = Field("One moment, please.", max_length=500, description="said when the answer is slow")
    filler_after_s: float = Field(0.8, ge=0, le=30)
    go: Way
    failed: Way | None = Field(None, description="None: `go`, without the answers")

    @model_validator(mode="after")
    def _can_be_sent(self) -> Self:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.password:
            raise ValueError("`url` must be http:// or https:// with a host, and without a password in it")
        if placeholders(parts.netloc):
            raise ValueError("the host of `url` takes no {placeholders}: it must be one that the platform allows")
        if self.method == "GET" and self.body is not None:
            raise ValueError("a GET has no body: put values into the query of `url`")
        for name, value in self.headers.items():
            if not re.fullmatch(r"[A-Za-z0-9-]{1,100}", name) or re.search(r"[\r\n\0]", value):
                raise ValueError(f"{name!r} is not a header that can be sent")
        for path in self.save.values():
            if not re.fullmatch(r"[^.\s][^.]*(\.[^.]+)*", path):
                raise ValueError(f"{path!r} is not a path such as order.items.0.name")
        for text in self.texts:
            placeholders(text)
        return self

    @property
    def texts(self) -> tuple[str, ...]:
        """Everything that may hold placeholders."""
        return (self.url, *self.headers.values(), *_texts_in(self.body))


def _texts_in(value: Json) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for one in value.values() for text in _texts_in(one)]
    return [text for one in value for text in _texts_in(one)] if isinstance(value, list) else []


Action = Annotated[
    EndConversation | ScheduleCallback | DoNotCall | TransferToAgent | CollectDigits | HttpRequest,
    Field(discriminator="action"),
]
