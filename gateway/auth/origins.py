"""The web origins whose pages may use the gateway with a visitor's cookie (RFC 6454)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gateway.domain.origin import canonical
from gateway.errors import OriginRefused

_SHOWN: Final = 200


class Origins:
    """The allow-list of the configuration. No other origin is allowed, not even the gateway's
    own."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self.replace(allowed)

    def replace(self, allowed: Iterable[str]) -> None:
        """Apply this list from now on."""
        self._allowed = frozenset(map(canonical, allowed))
        authorities = (origin.partition("://")[2] for origin in self._allowed)
        #: The hosts of the pages, with and without a port.
        self.hosts = frozenset(name for each in authorities for name in names(each))

    def check(self, origin: str | None) -> None:
        """Raises :class:`OriginRefused`. None (no ``Origin`` header) is not from a browser and
        passes."""
        if origin is not None and origin.lower() not in self._allowed:
            raise OriginRefused(
                f"pages of the origin {origin[:_SHOWN]!r} are not allowed;"
                " server.origins in the gateway's configuration lists those that are"
            )


def names(authority: str) -> frozenset[str]:
    """A host in the forms that people write: with its port, without, and an IPv6 address without
    brackets."""
    whole = authority.lower()
    host, colon, port = whole.rpartition(":")
    if not colon or not port.isdigit():
        host = whole
    return frozenset({whole, host, host.strip("[]")})
