"""Sharing of answers with pages of other origins (Fetch standard, "CORS protocol")."""

from __future__ import annotations

from typing import Final

from tornado.web import RequestHandler

from gateway.auth.origins import Origins
from gateway.errors import OriginRefused

#: Response headers that scripts of another origin may read; ``Date``, because a page measures the
#: lifetime of its token by the gateway's clock.
_READABLE: Final = "Date, Location, Retry-After, X-Request-Id"


def share(handler: RequestHandler, origins: Origins) -> None:
    """Let pages of an allowed origin, and no others, read the answer. Called again for each error,
    which drops the headers that were set."""
    # Also where no origin is given: a cache must not give one origin's answer to another.
    handler.set_header("Vary", "Origin")
    origin = handler.request.headers.get("Origin")
    if origin is None:
        return
    try:
        origins.check(origin)
    except OriginRefused:
        return
    handler.set_header("Access-Control-Allow-Origin", origin)
    handler.set_header("Access-Control-Allow-Credentials", "true")
    handler.set_header("Access-Control-Expose-Headers", _READABLE)
    # An isolated page (COEP) requires this as well.
    handler.set_header("Cross-Origin-Resource-Policy", "cross-origin")
