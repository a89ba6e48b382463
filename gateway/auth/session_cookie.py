"""The session cookie's names and path."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tornado.httputil import HTTPHeaders, parse_cookie

#: Cookies ignore ports: other applications on the host may have a cookie called "session".
SESSION_COOKIE: Final = "interact_session"
#: The session cookie's name under TLS. Browsers take a cookie of this name over TLS only, and from
#: this very host (RFC 6265bis, section 4.1.3.2): no neighbouring host, and nobody on the way of a
#: plain connection, can plant a session of their own.
SECURE_COOKIE: Final = f"__Host-{SESSION_COOKIE}"


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """The session cookie of a gateway below ``base`` (``server.path``).

    A cookie of a host's root is sent to every path below it, and a second one of the same name is
    no help. So below a path it has a name of its own. There browsers do not take ``__Host-``, which
    is for the root alone; ``__Secure-`` at least needs TLS.
    """

    base: str = ""
    plain: str = field(init=False)
    secure: str = field(init=False)

    def __post_init__(self) -> None:
        # Paths have no dots, so each has another name.
        plain = SESSION_COOKIE + self.base.replace("/", ".")
        object.__setattr__(self, "plain", plain)
        object.__setattr__(self, "secure", f"__Secure-{plain}" if self.base else SECURE_COOKIE)

    @property
    def path(self) -> str:
        return self.base or "/"

    @property
    def names(self) -> frozenset[str]:
        return frozenset({self.plain, self.secure})

    def find(self, headers: HTTPHeaders) -> tuple[str, str] | None:
        """The cookie's name and value in a request: the one of TLS, otherwise the plain one.

        ``request.cookies`` makes an object of each of the thousands of cookies that a head may
        have.
        """
        given = headers.get("Cookie", "")
        if self.plain not in given:
            return None
        cookies = parse_cookie(given)
        names = (name for name in (self.secure, self.plain) if name in cookies)
        return next(((name, cookies[name]) for name in names), None)

    def is_plain_in(self, headers: HTTPHeaders) -> bool:
        """Whether the request has a cookie of the name that it has without TLS."""
        return self.plain in parse_cookie(headers.get("Cookie", ""))
