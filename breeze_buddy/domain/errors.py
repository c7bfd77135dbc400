"""Errors of the rules: each has a code that a program can read and a sentence that a person can act on."""


class DomainError(ValueError):
    """A rule was broken. `code` is stable; the message says what to do."""

    code = "invalid"


class IllegalTransition(DomainError):
    """A status was asked to change in a way that its state machine does not allow."""

    code = "illegal_transition"

    def __init__(self, thing: str, current: str, wanted: str) -> None:
        super().__init__(f"{thing} cannot go from {current} to {wanted}")
        self.current = current
        self.wanted = wanted


class InvalidPhoneNumber(DomainError):
    """Text that is not a phone number that could be dialled."""

    code = "invalid_phone_number"


class MissingVariables(DomainError):
    """A lead lacks variables that its template's messages need."""

    code = "missing_variables"

    def __init__(self, names: list[str]) -> None:
        super().__init__(f"the template needs {', '.join(names)}: give each lead a value for every one of them")
        self.names = names


class InvalidFlow(DomainError):
    """A flow whose nodes do not fit together."""

    code = "invalid_flow"


class ProviderNotConfigured(DomainError):
    """A template needs somebody outside whom this installation has no key for."""

    code = "provider_not_configured"
