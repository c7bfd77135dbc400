"""Errors as answers: a code that a program can read and a sentence that a person can act on.

422 says which fields were wrong, `{"detail": [{"loc", "msg", "type"}]}`; every other refusal is
`{"code", "message"}`. What was sent is not repeated: it may hold anything, also what JSON cannot say.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from breeze_buddy.activities.enrolment import NoNumbers, StartInThePast
from breeze_buddy.activities.signals import Unreachable
from breeze_buddy.domain.errors import DomainError, IllegalTransition, MissingVariables
from breeze_buddy.domain.inspection import Flawed
from breeze_buddy.store.errors import Conflict, NotFound, Unavailable, UnusableText
from breeze_buddy.telephony.callbacks import MalformedCallback
from breeze_buddy.telephony.errors import TelephonyError

logger = logging.getLogger(__name__)

# The field of the body that a broken rule is about.
_FIELDS: Mapping[type[DomainError], str] = {
    MissingVariables: "variables",
    NoNumbers: "numbers",
    StartInThePast: "start_at",
}


class RecordingDeleted(Exception):
    """The days that a template keeps its recordings were over at `deleted_at`."""

    code = "recording_deleted"

    def __init__(self, deleted_at: datetime | None) -> None:
        on = f" on {deleted_at:%Y-%m-%d}" if deleted_at else ""
        super().__init__(f"this recording was deleted{on}: its template keeps recordings only for a while")


class Problem(BaseModel):
    """The body of every refusal but 422."""

    code: str
    message: str


class FieldProblem(BaseModel):
    """One field that was wrong: where it is, why, and what kind of mistake it is."""

    loc: list[str | int]
    msg: str
    type: str


class FieldProblems(BaseModel):
    """The body of a 422."""

    detail: list[FieldProblem]


def refusal(http_status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(Problem(code=code, message=message).model_dump(), status_code=http_status, headers=headers)


def field_problem(field: str, message: str, code: str) -> Response:
    """A 422 about one field of the body."""
    return _unprocessable([FieldProblem(loc=["body", field] if field else ["body"], msg=message, type=code)])


def validation_problems(errors: Sequence[Any], *, inside: Sequence[str | int] = ()) -> Response:
    """A 422 from the errors of pydantic, whose places are `inside` that part of the request."""
    return _unprocessable(
        FieldProblem(loc=[*inside, *error["loc"]], msg=error["msg"], type=error["type"]) for error in errors
    )


def _unprocessable(problems: Iterable[FieldProblem]) -> Response:
    body = {"detail": [problem.model_dump() for problem in problems]}
    # In ASCII, for names of fields can hold halves of characters.
    return Response(json.dumps(body), status_code=status.HTTP_422_UNPROCESSABLE_CONTENT, media_type="application/json")


def install(app: FastAPI) -> None:
    """Answer our own exceptions, and the framework's in the same shapes."""

    @app.exception_handler(NotFound)
    async def not_found(_: Request, error: NotFound) -> JSONResponse:
        return refusal(status.HTTP_404_NOT_FOUND, error.code, str(error))

    @app.exception_handler(RecordingDeleted)
    async def gone(_: Request, error: RecordingDeleted) -> JSONResponse:
        return refusal(status.HTTP_410_GONE, error.code, str(error))

    @app.exception_handler(Conflict)
    async def conflict(_: Request, error: Conflict) -> JSONResponse:
        return refusal(status.HTTP_409_CONFLICT, error.code, str(error))

    @app.exception_handler(IllegalTransition)
    async def illegal(_: Request, error: IllegalTransition) -> JSONResponse:
        return refusal(status.HTTP_409_CONFLICT, error.code, str(error))

    @app.exception_handler(DomainError)
    async def domain(_: Request, error: DomainError) -> Response:
        return field_problem(_FIELDS.get(type(error), ""), str(error), error.code)

    @app.exception_handler(Flawed)
    async def flawed(_: Request, error: Flawed) -> Response:
        return _unprocessable(
            FieldProblem(loc=["body", *one.loc], msg=one.message, type=one.code) for one in error.findings
        )

    @app.exception_handler(UnusableText)
    async def unusable(_: Request, error: UnusableText) -> Response:
        return field_problem("", str(error), error.code)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return validation_problems(error.errors())

    @app.exception_handler(MalformedCallback)
    async def malformed(_: Request, error: MalformedCallback) -> Response:
        return _unprocessable(
            FieldProblem(loc=["body", field], msg=str(error), type="malformed_callback") for field in error.fields
        )

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        code = getattr(error, "code", HTTPStatus(error.status_code).name.lower())
        return refusal(error.status_code, code, str(error.detail), error.headers)

    @app.exception_handler(TelephonyError)
    async def telephony(_: Request, error: TelephonyError) -> JSONResponse:
        logger.error("%s", error)
        return refusal(status.HTTP_502_BAD_GATEWAY, "twilio_refused", str(error))

    @app.exception_handler(Unavailable)
    async def unavailable(_: Request, error: Unavailable) -> JSONResponse:
        logger.error("%s", error)
        return refusal(status.HTTP_503_SERVICE_UNAVAILABLE, error.code, str(error))

    @app.exception_handler(Unreachable)
    async def unreachable(_: Request, error: Unreachable) -> JSONResponse:
        logger.error("%s", error)
        message = f"{error}; what you asked for is kept, and the same request can be sent again"
        return refusal(status.HTTP_503_SERVICE_UNAVAILABLE, "temporal_unreachable", message)
