"""`breeze template validate`: a template judged here, by the rules that the API has too."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from breeze_buddy.cli.documents import Document, read_document
from breeze_buddy.cli.exits import ExitCode
from breeze_buddy.cli.places import place
from breeze_buddy.cli.printing import print_json
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
    if as_json:
        print_json({"valid": True, "name": template.name, "variables": variables, "problems": []})
    else:
        need = f"each lead brings {', '.join(variables)}" if variables else "leads need no variables"
        print(f"{document.name}: template {template.name} is valid; {need}")
    return ExitCode.DONE


def _problem(document: Document, error: Any) -> dict[str, Any]:
    message = str(error["msg"]).removeprefix("Value error, ")
    return {"place": place(error["loc"]), "line": document.line_of(error["loc"]), "message": message}


def _print_problems(document: Document, problems: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json({"valid": False, "name": document.data.get("name"), "variables": [], "problems": problems})
        return
    for problem in problems:
        line = f":{problem['line']}" if problem["line"] else ""
        what = f"{problem['place']}: {problem['message']}" if problem["place"] else problem["message"]
        print(f"{document.name}{line}: {what}")
