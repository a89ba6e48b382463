"""The header ``host`` of CONNECT: the choice among a broker's virtual hosts.

STOMP 1.1 demands it, and clients say what they have: the name of RabbitMQ's virtual host, ``/``, or
the server's own name as they dial it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from gateway.auth.origins import names
from gateway.errors import UnknownVirtualHost

#: The virtual host of clients that name none, as RabbitMQ calls it.
_DEFAULT: Final = "/"
_SHOWN: Final = 255


class Pages(Protocol):
    """The allowed origins, which may change."""

    @property
    def hosts(self) -> frozenset[str]:
        """Their hosts in lower case, with and without a port."""


class VirtualHosts:
    """The virtual hosts that clients may ask for.

    ``home``: RabbitMQ's name of the one with the rooms; no name, ``/`` (unless it is one of the
    others) and the gateway's public names, under which ``pages`` are served, mean it too.
    ``others``: RabbitMQ's names of those that may be chosen besides.
    """

    def __init__(self, home: str, pages: Pages, *, others: Iterable[str] = ()) -> None:
        self._home = home
        self._others = frozenset(others) - {home}
        self._pages = pages

    def choose(self, host: str | None, *, dialled: str) -> str | None:
        """The virtual host that a CONNECT with this ``host`` means; None is the home.

        ``dialled``: the ``Host`` of the HTTP request. Raises :class:`UnknownVirtualHost`, with the
        text that RabbitMQ has for one that does not exist.
        """
        if not host or host == self._home:
            return None
        if host in self._others:
            return host
        name = host.lower()
        if host == _DEFAULT or name in names(dialled) or name in self._pages.hosts:
            return None
        raise UnknownVirtualHost(f"Virtual host '{host[:_SHOWN]}' access denied")
