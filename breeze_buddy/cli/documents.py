"""Documents that a person writes, in YAML or JSON, and the line on which a part of one is.

YAML is read by the rules of version 1.2: `20:00` and `2026-01-31` are text, as are `yes`, `no` and `+14155550123`. A
name that is there twice is an error, in both.
"""

import json
import re
import sys
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import yaml

from breeze_buddy.cli.errors import FileError


class _Loader(yaml.SafeLoader):
    """The safe loader with fewer words that are not text."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML's own way)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is there twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"-?(0|[1-9][0-9]*)", list("-0123456789")),
    ("float", r"-?(0|[1-9][0-9]*)?\.[0-9]+([eE][-+]?[0-9]+)?", list("-.0123456789")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


class Document:
    """A mapping that was read from a file. `name` is how errors call the file."""

    def __init__(self, name: str, text: str, data: dict[str, Any]) -> None:
        self.name = name
        self.data = data
        self._text = text

    def line_of(self, location: Sequence[str | int]) -> int | None:
        """The line, from 1, of the part at `location`, or of the innermost part on the way there that exists."""
        try:
            node = yaml.compose(self._text.replace("\t", " "), Loader=_Loader)
        except yaml.YAMLError:
            return None  # JSON that is not YAML
        line = None
        for part in location:
            step = _inside(node, part)
            if step is None:
                break
            line, node = step
        return line


def read_document(path: Path) -> Document:
    """The mapping in a YAML or JSON file; `-` is stdin. Raises FileError with the line."""
    name = "stdin" if str(path) == "-" else str(path)
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text("utf-8")
    except OSError as error:
        raise FileError(f"{name} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise FileError(f"{name} is not UTF-8 text: {error}") from None
    match path.suffix:
        case ".json":
            data = _json(name, text)
        case ".yaml" | ".yml":
            data = _yaml(name, text)
        case _:
            data = _either(name, text)
    if not isinstance(data, dict):
        raise FileError(f"{name} must hold names with values, as in `name: order-check`")
    if odd := [key for key in data if not isinstance(key, str)]:
        raise FileError(f"{name}: {odd[0]!r} must be text: put it in quotes")
    return Document(name, text, data)


def _either(name: str, text: str) -> Any:
    """JSON when it is; not all of it is YAML."""
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return _yaml(name, text)
    return _json(name, text)


def _json(name: str, text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [key for key, _ in pairs]
            twice = next(key for key in names if names.count(key) > 1)
            raise FileError(f"{name}: {twice!r} is there twice")
        return found

    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise FileError(f"{name}, line {error.lineno}, column {error.colno}: {error.msg}") from None


def _yaml(name: str, text: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise FileError(f"{name}{where}: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise FileError(f"{name} is not YAML: {error}") from None


def _inside(node: yaml.Node | None, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and 0 <= part < len(node.value):
        item = node.value[part]
        return item.start_mark.line + 1, item
    return None
