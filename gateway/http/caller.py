"""The client of a request, as far as the proxies in front can be trusted."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from ipaddress import ip_address

from tornado.httputil import HTTPHeaders, HTTPServerRequest


@dataclass(frozen=True, slots=True)
class Caller:
    """A request's client. ``address`` is its own, ``secure`` tells whether it uses TLS itself."""

    address: str
    secure: bool


def caller(request: HTTPServerRequest, *, trusted_proxies: Container[str]) -> Caller:
    """The client of the request: the peer, or whom a trusted proxy names."""
    peer = request.remote_ip or ""
    if peer not in trusted_proxies:
        return Caller(peer, request.protocol == "https")
    address = nearest(peer, request.headers, trusted_proxies=trusted_proxies)
    protocol = request.headers.get("X-Forwarded-Proto", request.protocol)
    return Caller(address, protocol.rpartition(",")[2].strip().lower() == "https")


def nearest(peer: str, headers: HTTPHeaders, *, trusted_proxies: Container[str]) -> str:
    """The peer; or, behind a trusted proxy, the nearest address that is not a trusted proxy's.

    ``X-Forwarded-For`` grows to the right. Everything left of the first address that no trusted
    proxy has written may be invented.
    """
    address = peer
    if peer not in trusted_proxies:
        return address
    forwarded = ",".join(headers.get_list("X-Forwarded-For"))
    for hop in reversed([part.strip() for part in forwarded.split(",") if part.strip()]):
        if not is_address(hop):
            break
        address = hop
        if hop not in trusted_proxies:
            break
    return address


def is_address(text: str) -> bool:
    """Whether the text is an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
