"""The address of a request: proxies are believed only as far as they are trusted."""

from __future__ import annotations

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from gateway.http.caller import Caller, caller
from gateway.http.trusted_proxies import TrustedProxies

PROXIES = frozenset({"10.0.0.1", "10.0.0.2", "::1"})


#: The same, as they are configured.
TRUSTED = TrustedProxies(["10.0.0.0/30", "::1", "unix:"])


def request(peer: str, *forwarded: str, protocol: str | None = None) -> HTTPServerRequest:
    headers = HTTPHeaders({"Host": "localhost"})
    for value in forwarded:
        headers.add("X-Forwarded-For", value)
    if protocol is not None:
        headers["X-Forwarded-Proto"] = protocol
    made = HTTPServerRequest(start_line=RequestStartLine("GET", "/", "HTTP/1.1"), headers=headers)
    made.remote_ip = peer
    return made


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["invented, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1", "10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("10.0.0.1", ["nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, nonsense, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [", ,"], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.2"], "10.0.0.2"),
        ("::1", ["198.51.100.1"], "198.51.100.1"),
    ],
)
def test_the_client_is_the_nearest_address_that_no_trusted_proxy_has(
    peer: str, forwarded: list[str], address: str
) -> None:
    assert caller(request(peer, *forwarded), trusted_proxies=PROXIES).address == address


@pytest.mark.parametrize(
    ("peer", "protocol", "secure"),
    [
        ("203.0.113.7", "https", False),
        ("10.0.0.1", None, False),
        ("10.0.0.1", "http", False),
        ("10.0.0.1", "https", True),
        ("10.0.0.1", "HTTPS", True),
        ("10.0.0.1", "https, http", False),
        ("10.0.0.1", "http, https", True),
    ],
)
def test_only_a_trusted_proxy_says_that_the_client_speaks_tls(
    peer: str, protocol: str | None, secure: bool
) -> None:
    assert caller(request(peer, protocol=protocol), trusted_proxies=PROXIES) == Caller(peer, secure)


@pytest.mark.parametrize(
    ("address", "trusted"),
    [
        ("10.0.0.0", True),
        ("10.0.0.3", True),
        ("10.0.0.4", False),
        ("::ffff:10.0.0.1", True),
        ("::1", True),
        ("::2", False),
        ("unix:", True),
        ("nonsense", False),
        ("", False),
    ],
)
def test_a_proxy_is_in_a_trusted_network(address: str, trusted: bool) -> None:
    assert (address in TRUSTED) is trusted
    assert "unix:" not in TrustedProxies(["10.0.0.0/8"])
    assert not TrustedProxies()


def test_behind_a_socket_of_the_file_system_the_proxy_says_who_comes() -> None:
    asked = request("unix:", "203.0.113.9, 198.51.100.1, 10.0.0.2", protocol="https")
    assert caller(asked, trusted_proxies=TRUSTED) == Caller("198.51.100.1", secure=True)
