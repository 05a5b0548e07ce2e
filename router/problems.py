"""Errors as callers see them: RFC 9457 problem documents, with a sentence that helps and no data in it."""

from http import HTTPStatus

from starlette.responses import JSONResponse


def problem(status: HTTPStatus, detail: str, *, retry_after: int | None = None) -> JSONResponse:
    """``retry_after`` in seconds."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return JSONResponse(
        {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail},
        status.value,
        headers,
        media_type="application/problem+json",
    )
