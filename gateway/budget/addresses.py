"""The network of an address: the smallest that one client cannot leave at will."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final

#: A client with IPv6 usually has all addresses of a /64 (RFC 6177).
_PREFIX: Final = 64
_REMEMBERED: Final = 10_000


@lru_cache(_REMEMBERED)
def network_of(address: str) -> str:
    """The key by which an address is counted: an IPv4 address itself, of an IPv6 address its
    /64. Anything else is its own."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return f"{IPv6Address(int(parsed) >> (128 - _PREFIX) << (128 - _PREFIX))}/{_PREFIX}"
    return address
