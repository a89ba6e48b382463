"""What a page of another origin may read (Fetch standard, "CORS protocol")."""

from __future__ import annotations

from typing import Final

from tornado.web import RequestHandler

from gateway.auth.origins import Origins
from gateway.errors import OriginRefused

#: Headers of an answer that scripts of another origin may read; ``Date``, because a page measures
#: how long its token lasts by the gateway's clock.
_READABLE: Final = "Date, Location, Retry-After, X-Request-Id"


def share(handler: RequestHandler, origins: Origins) -> None:
    """Let pages of an allowed origin, and no others, read the answer; again for each error, which
    drops the headers that were set."""
    # Also where there is none: a cache must not give one origin's answer to another.
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
    # An isolated page (COEP) asks for this as well.
    handler.set_header("Cross-Origin-Resource-Policy", "cross-origin")
