"""The account that the embedded stack and its simulator share: made once, kept where only its owner reads."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from breeze_buddy.cli.errors import CommandError

SECRETS_FILE = "secrets.json"


@dataclass(frozen=True, slots=True)
class StackSecrets:
    account_sid: str
    auth_token: str


def load_or_make(folder: Path) -> StackSecrets:
    """The secrets of this data folder, made at first. Raises CommandError for a file that is not ours."""
    path = folder / SECRETS_FILE
    try:
        return StackSecrets(**json.loads(path.read_text()))
    except FileNotFoundError:
        made = StackSecrets(account_sid="AC" + secrets.token_hex(16), auth_token=secrets.token_hex(16))
    except (ValueError, TypeError) as error:
        raise CommandError(f"{path} is not a file of secrets: {error}. Remove it and start again.") from error
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(made), file)
    return made
