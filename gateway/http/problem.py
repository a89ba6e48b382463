"""Errors as RFC 9457 problem details (``application/problem+json``)."""

from __future__ import annotations

import math
from typing import Any, Final

from tornado.web import HTTPError

from gateway.errors import (
    GatewayError,
    Internal,
    Invalid,
    MethodNotAllowed,
    RateLimited,
    TooLarge,
    Unavailable,
    UnknownPath,
    outcome,
)

MEDIA_TYPE: Final = "application/problem+json"

#: Seconds after which to try again, where the error does not know better.
_TRY_AGAIN: Final = 2.0

_OF_TORNADO: Final[dict[int, tuple[type[GatewayError], str]]] = {
    400: (Invalid, "the request is not valid HTTP or its path is not UTF-8"),
    # Tornado's refusal to serve a file from outside the folder.
    403: (UnknownPath, "no resource has this path"),
    404: (UnknownPath, "no resource has this path"),
    405: (MethodNotAllowed, "the Allow header names the methods of this resource"),
    413: (TooLarge, "the body is too large"),
}


def refusal(error: BaseException | None) -> GatewayError:
    """The error to report for any exception of a handler; an unforeseen one reveals nothing."""
    if isinstance(error, GatewayError):
        return error
    if isinstance(error, HTTPError) and error.status_code in _OF_TORNADO:
        kind, detail = _OF_TORNADO[error.status_code]
        return kind(detail)
    return Internal("the gateway's log has the details under the id in X-Request-Id")


def document(error: GatewayError) -> dict[str, Any]:
    """The problem details: those of RFC 9457, section 3.1, and a stable ``code``."""
    row = outcome(error)
    return {
        "type": f"urn:interact:problem:{row.code}",
        "title": row.title,
        "status": row.status,
        "detail": error.detail,
        "code": row.code,
    }


def headers(error: GatewayError) -> dict[str, str]:
    """The headers that go with the document: ``Retry-After`` in whole seconds, and the 401's
    challenge."""
    found = {"Content-Type": MEDIA_TYPE}
    retry_after = error.retry_after
    if retry_after is None and isinstance(error, RateLimited | Unavailable):
        retry_after = _TRY_AGAIN
    if retry_after is not None:
        # RFC 9110, section 10.2.3: an integer; rounded up, or the client would come too early.
        found["Retry-After"] = str(max(1, math.ceil(retry_after)))
    if outcome(error).status == 401:
        # RFC 9110, section 11.6.1
        found["WWW-Authenticate"] = "Bearer"
    return found
