"""Prints the part of constraints.txt that one image needs, with its hashes, in pip's own format.

    select_requirements.py [--extra NAME]... [--only PACKAGE]...

Without arguments: what the package depends on. `--extra` adds an extra of pyproject.toml; `--only` takes the
named packages instead (a build needs its build system). What those need in turn is read from the `# via`
notes of constraints.txt; nothing is resolved anew and nothing is asked of an index.
"""

import argparse
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
OURSELVES = "breeze-buddy"


def normal(name: str) -> str:
    """A project's name as it is compared: lower case, runs of `-_.` as one hyphen."""
    return re.sub(r"[-_.]+", "-", name).lower()


def entries(constraints: str) -> list[tuple[str, str, set[str]]]:
    """(name, whole entry with its hashes, who needs it) of each pinned requirement; one name may have several."""
    found = []
    for text in re.split(r"(?m)^(?=[A-Za-z0-9])", constraints):
        if pinned := re.match(r"([A-Za-z0-9._-]+)==", text):
            requirement = "".join(line for line in text.splitlines(keepends=True) if not line.lstrip().startswith("#"))
            # A last hash may end in a backslash that only a comment followed.
            found.append((normal(pinned[1]), requirement.rstrip().rstrip("\\").rstrip() + "\n", needed_by(text)))
    return found


def needed_by(entry: str) -> set[str]:
    """The projects named in an entry's `# via` note."""
    note = entry.partition("# via")[2]
    words = [line.strip().lstrip("#").strip() for line in note.splitlines()]
    return {normal(word.split()[0]) for word in words if word}


def roots(pyproject: dict[str, object], extras: list[str]) -> set[str]:
    """Names of the direct requirements, following extras that name other extras of ours."""
    project = pyproject["project"]
    assert isinstance(project, dict)
    names: set[str] = set()
    waiting = [*project["dependencies"], *(f"{OURSELVES}[{extra}]" for extra in extras)]
    while waiting:
        requirement = waiting.pop()
        parts = re.match(r"([A-Za-z0-9._-]+)\s*(?:\[([^\]]*)\])?", requirement)
        assert parts is not None
        if normal(parts[1]) != OURSELVES:
            names.add(normal(parts[1]))
            continue
        for extra in (parts[2] or "").split(","):
            waiting += project["optional-dependencies"][extra.strip()]
    return names


def closure(start: set[str], constraints: str) -> list[str]:
    """The entries of `start` and of all they need, in the order of the file. Raises KeyError for an unknown name."""
    pinned = entries(constraints)
    missing = start - {name for name, _, _ in pinned}
    if missing:
        raise KeyError(f"constraints.txt does not pin {', '.join(sorted(missing))}: run `make lock`")
    wanted = set(start)
    while more := {name for name, _, parents in pinned if parents & wanted} - wanted:
        wanted |= more
    return [requirement for name, requirement, _ in pinned if name in wanted]


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extra", action="append", default=[])
    parser.add_argument("--only", action="append", default=[])
    options = parser.parse_args(arguments)
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    start = {normal(name) for name in options.only} or roots(pyproject, options.extra)
    sys.stdout.write("".join(closure(start, (ROOT / "constraints.txt").read_text())))


if __name__ == "__main__":
    main(sys.argv[1:])
