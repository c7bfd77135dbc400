"""The settings of a stack that `breeze up` or `breeze demo --keep` runs: its processes have them, we do not."""

from pathlib import Path

from breeze_buddy.cli.errors import FileError
from breeze_buddy.cli.ports import StackPorts
from breeze_buddy.cli.stack_plan import StackPlan
from breeze_buddy.cli.stack_secrets import load_or_make
from breeze_buddy.cli.stack_state import STATE_FILE, read_state
from breeze_buddy.settings import Settings

USUAL_FOLDER = Path(".breeze")


def settings_of(folder: Path, settings: Settings) -> Settings:
    """The settings of the processes of the stack in `folder`. Raises FileError when none runs there."""
    state = read_state(folder)
    if state is None:
        raise FileError(f"no stack runs in {folder}: `breeze up --data {folder}` starts one")
    plan = StackPlan(folder=folder, ports=StackPorts(**state.ports), settings=settings)
    given = {name.lower(): value for name, value in plan.environment(load_or_make(folder)).items()}
    return Settings(**{name: value for name, value in given.items() if name in Settings.model_fields})  # type: ignore[arg-type]


def usual_stack(settings: Settings) -> Path | None:
    """The folder of the stack that is meant when nothing else is said: no account is set, and one runs here."""
    runs = not settings.twilio_account_sid and (USUAL_FOLDER / STATE_FILE).exists()
    return USUAL_FOLDER if runs else None
