"""Reads the settings, once, and says which of them is wrong in words of the environment."""

from pydantic import ValidationError

from breeze_buddy.cli.errors import SettingsError
from breeze_buddy.settings import Settings


def read_settings() -> Settings:
    """The settings of this process. Raises SettingsError that names each variable and what is wrong with it."""
    try:
        return Settings()
    except ValidationError as error:
        problems = [f"  {_variable(problem['loc'])}: {problem['msg']}" for problem in error.errors()]
        raise SettingsError("These settings (environment or .env) cannot be used:\n" + "\n".join(problems)) from None


def _variable(place: tuple[int | str, ...]) -> str:
    return "_".join(str(part) for part in place).upper()
