"""Errors as answers: a code that a program can read and a sentence that a person can act on."""

import logging

from fastapi import FastAPI, Request, status
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from breeze_buddy.activities.signals import Unreachable
from breeze_buddy.domain.errors import DomainError, IllegalTransition
from breeze_buddy.store.errors import Conflict, NotFound

logger = logging.getLogger(__name__)


class Problem(BaseModel):
    """The body of every refusal but 422."""

    code: str
    message: str


def refusal(http_status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse(Problem(code=code, message=message).model_dump(), status_code=http_status)


def field_problem(field: str, message: str, code: str) -> JSONResponse:
    """A 422 in the shape of FastAPI's own: the field and the reason."""
    detail = [{"loc": ["body", field], "msg": message, "type": code}]
    return JSONResponse({"detail": detail}, status_code=status.HTTP_422_UNPROCESSABLE_CONTENT)


def install(app: FastAPI) -> None:
    """Answer our own exceptions."""

    @app.exception_handler(NotFound)
    async def not_found(_: Request, error: NotFound) -> JSONResponse:
        return refusal(status.HTTP_404_NOT_FOUND, error.code, str(error))

    @app.exception_handler(Conflict)
    async def conflict(_: Request, error: Conflict) -> JSONResponse:
        return refusal(status.HTTP_409_CONFLICT, error.code, str(error))

    @app.exception_handler(IllegalTransition)
    async def illegal(_: Request, error: IllegalTransition) -> JSONResponse:
        return refusal(status.HTTP_409_CONFLICT, error.code, str(error))

    @app.exception_handler(DomainError)
    async def domain(_: Request, error: DomainError) -> JSONResponse:
        return refusal(status.HTTP_422_UNPROCESSABLE_CONTENT, error.code, str(error))

    @app.exception_handler(Unreachable)
    async def unreachable(_: Request, error: Unreachable) -> JSONResponse:
        logger.error("%s", error)
        message = f"{error}; what you asked for is kept, and the same request can be sent again"
        return refusal(status.HTTP_503_SERVICE_UNAVAILABLE, "temporal_unreachable", message)
