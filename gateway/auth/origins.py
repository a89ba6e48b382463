"""Which web pages may talk to the gateway with a visitor's cookie (RFC 6454)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gateway.domain.origin import canonical
from gateway.errors import OriginRefused

_SHOWN: Final = 200


class Origins:
    """The allow-list of the configuration; nothing else is allowed, not even the own host."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self.replace(allowed)

    def replace(self, allowed: Iterable[str]) -> None:
        """Let this list count from now on."""
        self._allowed = frozenset(map(canonical, allowed))
        authorities = (origin.partition("://")[2] for origin in self._allowed)
        #: Under which the pages are served, with and without a port.
        self.hosts = frozenset(name for each in authorities for name in names(each))

    def check(self, origin: str | None) -> None:
        """Raises :class:`OriginRefused`. None, no ``Origin`` header, is no browser and passes."""
        if origin is not None and origin.lower() not in self._allowed:
            raise OriginRefused(
                f"pages of the origin {origin[:_SHOWN]!r} are not allowed here;"
                " the gateway's configuration lists those that are under server.origins"
            )


def names(authority: str) -> frozenset[str]:
    """A host as people write it: with its port, without, and an IPv6 address without brackets."""
    whole = authority.lower()
    host, colon, port = whole.rpartition(":")
    if not colon or not port.isdigit():
        host = whole
    return frozenset({whole, host, host.strip("[]")})
