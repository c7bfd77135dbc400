"""`breeze template examples`: templates to begin with, which the tests hold conversations with."""

from importlib.resources import files
from importlib.resources.abc import Traversable

from breeze_buddy.cli.errors import CommandError
from breeze_buddy.cli.exits import ExitCode


class NoSuchExample(CommandError):
    """There is no example of that name."""

    code = ExitCode.NOT_FOUND


def example_files() -> dict[str, Traversable]:
    """The examples by name."""
    folder = files("breeze_buddy") / "examples"
    found = {one.name.removesuffix(".yaml"): one for one in folder.iterdir() if one.name.endswith(".yaml")}
    return dict(sorted(found.items()))


def print_examples() -> None:
    for name, file in example_files().items():
        about = file.read_text("utf-8").partition("\n")[0].removeprefix("# ")
        print(f"{name:<24}{about}")


def print_example(name: str) -> None:
    """Raises NoSuchExample."""
    file = example_files().get(name)
    if file is None:
        raise NoSuchExample(f"there is no example {name!r}: `breeze template examples` lists them")
    print(file.read_text("utf-8"), end="")
