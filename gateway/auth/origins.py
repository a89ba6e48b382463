"""Which web pages may talk to the gateway with a visitor's cookie (RFC 6454)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from gateway.errors import OriginRefused

_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
_SHOWN: Final = 200


class Origins:
    """The allow-list of the configuration; nothing else is allowed, not even the own host."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self.replace(allowed)

    def replace(self, allowed: Iterable[str]) -> None:
        """Let this list count from now on."""
        self._allowed = frozenset(_as_browsers_write(origin) for origin in allowed)

    def check(self, origin: str | None) -> None:
        """Raises :class:`OriginRefused`. None, no ``Origin`` header, is no browser and passes."""
        if origin is not None and origin.lower() not in self._allowed:
            raise OriginRefused(
                f"pages of the origin {origin[:_SHOWN]!r} are not allowed here;"
                " the gateway's configuration lists those that are under server.origins"
            )


def _as_browsers_write(origin: str) -> str:
    """Lower case, and without the scheme's own port (RFC 6454, section 6.2)."""
    origin = origin.lower()
    return origin.removesuffix(_DEFAULT_PORTS[urlsplit(origin).scheme])
