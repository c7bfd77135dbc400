"""Errors: those the REST interface answers with, and those a call notes while it runs.

Numbers are Twilio's; the sentences are ours.
"""

from dataclasses import dataclass
from typing import Any


class ApiError(Exception):
    """A refused REST request: Twilio's code, a sentence, and the HTTP status."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status

    def body(self) -> dict[str, Any]:
        """The error body as Twilio writes it."""
        return {
            "code": self.code,
            "message": self.message,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }


def not_found(path: str) -> ApiError:
    """20404: there is no such resource."""
    return ApiError(20404, f"The requested resource {path} was not found", 404)


class CallFault(Exception):
    """Something that went wrong inside a live call, with the code Twilio's debugger would show."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(frozen=True)
class Notification:
    """One line of a call's debugger log."""

    code: int
    text: str
    at_s: float


class ConfigurationError(Exception):
    """The simulator cannot start as asked; the sentence says what to change."""
