"""Twilio's identifiers: two letters and 32 hexadecimal digits.

They are always fresh, whatever the seed: a platform that outlives the simulator must never meet one twice.
"""

import uuid


def new_sid(prefix: str) -> str:
    """A new identifier such as ``CA`` followed by 32 hexadecimal digits."""
    return prefix + uuid.uuid4().hex
