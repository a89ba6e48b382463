"""The session cookie in an answer, and what else a login says about itself."""

from __future__ import annotations

from datetime import UTC, datetime
from http.cookies import Morsel
from typing import Final

from tornado.httputil import HTTPServerRequest

from gateway.domain.guest import room_of
from gateway.domain.identity import Identity
from gateway.domain.message import timestamp
from gateway.http.api import ApiHandler
from gateway.http.contract.shapes import Identified

#: Characters of a browser's ``User-Agent`` that are kept.
_LONGEST_DEVICE: Final = 200


def set_session(handler: ApiHandler, value: str, *, max_age: float) -> None:
    """Give the browser this session, and no other one under the cookie's other name. ``max_age``:
    seconds."""
    cookie = handler.services.credentials.cookie
    if not handler.caller.secure:
        _set_cookie(handler, cookie.plain, value, max_age=max_age)
        return
    _set_cookie(handler, cookie.secure, value, max_age=max_age)
    if cookie.is_plain_in(handler.request.headers):
        _set_cookie(handler, cookie.plain, "", max_age=0)


def device_of(request: HTTPServerRequest) -> str:
    """The browser's ``User-Agent`` as it can be shown and stored."""
    user_agent = request.headers.get("User-Agent", "")
    return "".join(sign for sign in user_agent if sign.isprintable())[:_LONGEST_DEVICE]


def identity_json(identity: Identity) -> Identified:
    """The user of a session, as pages know it. ``guest_of``: the only room of a guest."""
    shown: Identified = {
        "user": identity.user,
        "roles": sorted(identity.roles),
        "expires_at": timestamp(datetime.fromtimestamp(identity.expires_at, UTC)),
    }
    if identity.display_name is not None:
        shown["name"] = identity.display_name
    if (room := room_of(identity.user)) is not None:
        shown["guest_of"] = room
    return shown


def _set_cookie(handler: ApiHandler, name: str, value: str, *, max_age: float) -> None:
    cookie: Morsel[str] = Morsel()
    cookie.set(name, value, value)
    secure = handler.caller.secure
    # Browsers take SameSite=None over TLS only (RFC 6265bis, section 5.7).
    across_sites = secure and handler.settings["cross_site_cookies"]
    same_site = "None" if across_sites else "Strict"
    path = handler.services.credentials.cookie.path
    cookie.update({"path": path, "httponly": "yes", "samesite": same_site})
    cookie["max-age"] = str(max(0, int(max_age)))
    if secure:
        cookie["secure"] = "yes"
    # Of its own for each site around the frame: browsers that keep no others keep this one
    # (https://github.com/privacycg/CHIPS), and nobody can follow a person by it.
    partitioned = "; Partitioned" if across_sites else ""
    handler.add_header("Set-Cookie", cookie.OutputString() + partitioned)
