"""`breeze template validate`: a template judged here, by the rules that the API has too."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from breeze_buddy.cli.documents import Document, read_document
from breeze_buddy.cli.errors import FileError
from breeze_buddy.cli.exits import ExitCode
from breeze_buddy.cli.places import place
from breeze_buddy.cli.printing import print_json
from breeze_buddy.domain.inspection import inspect
from breeze_buddy.domain.template import Template


def check(file: Path, *, as_json: bool) -> int:
    """Print what is wrong with the template in `file`, or what its leads need; the exit code. Raises FileError."""
    document = read_document(file)
    try:
        # As it is sent: in JSON numbers and texts are told apart, but a list may stand for a tuple.
        template = Template.model_validate(document.data)
    except ValidationError as error:
        _print_problems(document, [_problem(document, one) for one in error.errors()], as_json=as_json)
        return ExitCode.REFUSED
    variables = sorted(template.required_variables)
    problems = [_one(document, finding.loc, finding.message, finding.severity) for finding in inspect(template)]
    valid = all(problem["severity"] == "warning" for problem in problems)
    if as_json:
        print_json({"valid": valid, "name": template.name, "variables": variables, "problems": problems})
        return ExitCode.DONE if valid else ExitCode.REFUSED
    _print_lines(document, problems)
    if valid:
        need = f"each lead brings {', '.join(variables)}" if variables else "leads need no variables"
        print(f"{document.name}: template {template.name} is valid; {need}")
    return ExitCode.DONE if valid else ExitCode.REFUSED


def read_template(document: Document) -> Template:
    """The template in a document. Raises FileError with each place that is wrong."""
    try:
        return Template.model_validate(document.data)
    except ValidationError as error:
        problems = [_problem(document, one) for one in error.errors()]
        raise FileError("\n".join(_lines(document, problems))) from None


def _problem(document: Document, error: Any) -> dict[str, Any]:
    return _one(document, error["loc"], str(error["msg"]).removeprefix("Value error, "), "error")


def _one(document: Document, loc: Sequence[str | int], message: str, severity: str) -> dict[str, Any]:
    return {"place": place(loc), "line": document.line_of(loc), "message": message, "severity": severity}


def _print_problems(document: Document, problems: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json({"valid": False, "name": document.data.get("name"), "variables": [], "problems": problems})
    else:
        _print_lines(document, problems)


def _print_lines(document: Document, problems: list[dict[str, Any]]) -> None:
    for line in _lines(document, problems):
        print(line)


def _lines(document: Document, problems: list[dict[str, Any]]) -> Iterator[str]:
    for problem in problems:
        line = f":{problem['line']}" if problem["line"] else ""
        what = f"{problem['place']}: {problem['message']}" if problem["place"] else problem["message"]
        yield f"{document.name}{line}: {'warning: ' if problem['severity'] == 'warning' else ''}{what}"
