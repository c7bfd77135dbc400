"""What the store refuses, with a code for programs and a sentence for people."""


class StoreError(Exception):
    """Base of what the store refuses."""

    code = "refused"


class NotFound(StoreError):
    """No row with that id."""

    code = "not_found"

    def __init__(self, thing: str, key: str) -> None:
        super().__init__(f"there is no {thing} {key!r}")


class Conflict(StoreError):
    """The row would collide with another, or its state does not allow this."""

    code = "conflict"


class UnusableText(StoreError):
    """Text that the database cannot keep."""

    code = "unusable_text"

    def __init__(self) -> None:
        super().__init__("there is text that cannot be kept: a zero byte, or half of a character")


class Unavailable(StoreError):
    """The database did not do its work in time, or failed."""

    code = "unavailable"
