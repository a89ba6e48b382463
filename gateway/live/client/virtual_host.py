"""The header ``host`` of CONNECT: which of a broker's virtual hosts a client wants.

STOMP 1.1 demands it, and clients say what they have: the name of RabbitMQ's virtual host, ``/``, or
the server's own name as they dial it. All these are the one that is configured; another one's name
is refused, because what is sent there would arrive here.
"""

from __future__ import annotations

from typing import Final, Protocol

from gateway.auth.origins import names
from gateway.errors import Refused

#: The virtual host of clients that name none, as RabbitMQ calls it.
_DEFAULT: Final = "/"
_SHOWN: Final = 100


class Pages(Protocol):
    """The allowed origins, which may change."""

    @property
    def hosts(self) -> frozenset[str]:
        """Their hosts in lower case, with and without a port."""


class VirtualHost:
    """The one virtual host that clients may ask for. ``name`` is RabbitMQ's; ``pages`` are served
    under the gateway's public names."""

    def __init__(self, name: str, pages: Pages) -> None:
        self._name = name
        self._pages = pages

    def check(self, host: str | None, *, dialled: str) -> None:
        """Raise :class:`Refused` for a CONNECT with another ``host``.

        ``dialled``: the ``Host`` of the HTTP request.
        """
        if not host or host in (self._name, _DEFAULT):
            return
        name = host.lower()
        if name in names(dialled) or name in self._pages.hosts:
            return
        raise Refused(
            f"there is no virtual host {host[:_SHOWN]!r} here: leave the header host out, or say "
            f"{self._name!r} or the name under which this server was called"
        )
