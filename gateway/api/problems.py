"""Errors as application/problem+json (RFC 9457): code, title, detail, and the field to blame."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from structlog.stdlib import get_logger

from adapters.model import InvalidValue
from adapters.spi import AdapterError, Unavailable
from gateway.api.problem import Problem
from relayers.engine import EngineStopped
from relayers.journal.port import JournalError
from relayers.offers.refusal import OfferRefused, Refusal
from relayers.quarantine import NotHeld, Quarantined

MEDIA_TYPE: Final = "application/problem+json"

STATUS: Final[dict[Refusal, HTTPStatus]] = {
    Refusal.INVALID_VALUE: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.UNKNOWN_CHAIN: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.UNKNOWN_ASSET: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.UNKNOWN_PEER: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.UNKNOWN_SWAP: HTTPStatus.NOT_FOUND,
    Refusal.SAME_CHAIN: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.CONTRACT_MISMATCH: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.DEADLINE_UNSAFE: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.DEADLINE_TOO_FAR: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.CHAIN_OBJECTS: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.CHAIN_FROZEN: HTTPStatus.SERVICE_UNAVAILABLE,
    Refusal.CHAIN_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Refusal.CHAIN_STALE: HTTPStatus.SERVICE_UNAVAILABLE,
    Refusal.LOCK_USED: HTTPStatus.CONFLICT,
    Refusal.VERSION_UNSUPPORTED: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.PEER_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Refusal.PEER_KEY_MISMATCH: HTTPStatus.CONFLICT,
    Refusal.NOT_ADDRESSED_TO_US: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.SIGNATURE_INVALID: HTTPStatus.FORBIDDEN,
    Refusal.OFFER_EXPIRED: HTTPStatus.CONFLICT,
    Refusal.OFFER_KNOWN: HTTPStatus.CONFLICT,
    Refusal.HASHLOCK_SEEN: HTTPStatus.CONFLICT,
    Refusal.ACCEPTANCE_KNOWN: HTTPStatus.CONFLICT,
    Refusal.OFFER_MISMATCH: HTTPStatus.CONFLICT,
    Refusal.TOO_MANY_OFFERS: HTTPStatus.TOO_MANY_REQUESTS,
    Refusal.TOO_MANY_SWAPS: HTTPStatus.TOO_MANY_REQUESTS,
    Refusal.NOT_NOW: HTTPStatus.CONFLICT,
    Refusal.SIGNING_FAILED: HTTPStatus.SERVICE_UNAVAILABLE,
    Refusal.INSUFFICIENT_BALANCE: HTTPStatus.CONFLICT,
}

_BY_STATUS: Final = {
    400: "bad_request",
    401: "unauthorised",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}


class ProblemError(Exception):
    """Raised by a handler to answer with a problem."""

    def __init__(self, status: int, code: str, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.problem = Problem(
            status=status, code=code, title=title_of(code), detail=detail, field=field
        )


def title_of(code: str) -> str:
    return code.replace("_", " ").capitalize()


def answer(problem: Problem) -> JSONResponse:
    headers = {"www-authenticate": "Bearer"} if problem.status == HTTPStatus.UNAUTHORIZED else None
    return JSONResponse(
        problem.model_dump(exclude_none=True), problem.status, headers, media_type=MEDIA_TYPE
    )


def problem_of(error: Exception) -> Problem:
    """The problem that an exception is answered with."""
    match error:
        case ProblemError():
            return error.problem
        case OfferRefused():
            return _problem(STATUS[error.code], error.code, error.detail, error.field)
        case Quarantined():
            return _problem(409, "quarantined", str(error))
        case NotHeld():
            return _problem(409, "not_now", str(error))
        case EngineStopped() | JournalError():
            return _problem(503, "not_running", str(error))
        case InvalidValue():
            return _problem(422, "invalid_value", str(error), error.field)
        case Unavailable():
            return _problem(503, "chain_unavailable", str(error))
        case AdapterError():
            return _problem(502, "chain_error", str(error))
        case RequestValidationError():
            return _invalid(error)
        case HTTPException():
            code = _BY_STATUS.get(error.status_code, "error")
            return _problem(error.status_code, code, str(error.detail))
        case _:
            return _problem(500, "internal", "an error of the gateway itself; its log has more")


def _problem(status: int, code: str, detail: str, field: str | None = None) -> Problem:
    return Problem(status=status, code=code, title=title_of(code), detail=detail, field=field)


def _invalid(error: RequestValidationError) -> Problem:
    first: dict[str, Any] = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"] if part != "body") or None
    if first["type"] == "extra_forbidden":
        message = "there is no such field"
    else:
        message = first["msg"].removeprefix("Value error, ")
    return _problem(422, "invalid_value", f"{field or 'the body'}: {message}", field)


def handle_problems(app: FastAPI) -> None:
    """Answers every exception of this app's handlers with a problem."""

    async def handled(_request: Request, error: Exception) -> JSONResponse:
        return answer(problem_of(error))

    async def unforeseen(request: Request, error: Exception) -> JSONResponse:
        get_logger("gateway.api").error(
            "unforeseen error", path=request.url.path, kind=type(error).__name__, exc_info=error
        )
        return answer(problem_of(error))

    for kind in (
        ProblemError,
        OfferRefused,
        InvalidValue,
        AdapterError,
        Quarantined,
        NotHeld,
        EngineStopped,
        JournalError,
        RequestValidationError,
        HTTPException,
    ):
        app.add_exception_handler(kind, handled)
    app.add_exception_handler(Exception, unforeseen)
