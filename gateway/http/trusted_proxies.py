"""The proxies in front of the gateway that are believed what they say about their clients."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from gateway.config import UNIX

_REMEMBERED: Final = 10_000


class TrustedProxies:
    """The configured addresses and networks; an address is ``in`` it or not.

    ``unix:`` stands for whoever connects by a socket in the file system: its mode and group say who
    that may be.
    """

    def __init__(self, configured: Iterable[str] = ()) -> None:
        listed = set(configured)
        self._unix = UNIX in listed
        self._networks = [ip_network(each) for each in listed - {UNIX}]
        # Asked several times for each request.
        self._has = lru_cache(_REMEMBERED)(self._look)

    def __contains__(self, address: object) -> bool:
        return isinstance(address, str) and self._has(address)

    def __bool__(self) -> bool:
        return self._unix or bool(self._networks)

    def _look(self, address: str) -> bool:
        if address == UNIX:
            return self._unix
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        return any(parsed in network for network in self._networks)
