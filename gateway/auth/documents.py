"""The documents that an issuer of tokens publishes: fetched over HTTP, and OpenID Connect's
discovery, which says where the keys are."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.iostream import UnsatisfiableReadError
from tornado.simple_httpclient import SimpleAsyncHTTPClient
from tornado.tcpclient import TCPClient

from gateway.auth.claims import read_object

MAX_BYTES: Final = 256 * 1024
#: Seconds for the whole fetch.
TIMEOUT: Final = 5.0
#: https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig
_WELL_KNOWN: Final = "/.well-known/openid-configuration"


class KeySetUnavailable(Exception):
    """The keys could not be fetched or parsed; the text is for the log."""


class HttpDocument:
    """A small document that is fetched by GET; make it inside the running loop. Redirects are not
    followed. ``tls``: whom to trust, by default the system's authorities. ``through``: a proxy."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float = TIMEOUT,
        max_bytes: int = MAX_BYTES,
        tls: ssl.SSLContext | None = None,
        through: TCPClient | None = None,
    ) -> None:
        self._request = HTTPRequest(
            url,
            headers={"Accept": "application/json"},
            connect_timeout=timeout,
            request_timeout=timeout,
            follow_redirects=False,
            # A compressed body could unfold beyond the limit.
            decompress_response=False,
            ssl_options=tls,
        )
        self._client = SimpleAsyncHTTPClient(force_instance=True, max_body_size=max_bytes)
        if through is not None:
            self._client.tcp_client = through

    async def __call__(self) -> bytes:
        """The body. Raises :class:`KeySetUnavailable`."""
        try:
            response = await self._client.fetch(self._request)
        except (HTTPClientError, OSError, ValueError, UnsatisfiableReadError) as error:
            # The last one: headers without an end.
            reason = str(error) or type(error).__name__
            raise KeySetUnavailable(f"GET {self._request.url}: {reason}") from error
        return response.body


class DiscoveredKeys:
    """An issuer's key set, wherever its configuration says that it is today. ``document`` makes the
    fetch of a URL."""

    def __init__(
        self,
        issuer: str,
        document: Callable[[str], Callable[[], Awaitable[bytes]]],
        *,
        timeout: float = TIMEOUT,
    ) -> None:
        self._issuer = issuer
        self._document = document
        self._configuration = document(discovery_url(issuer))
        self._timeout = timeout

    async def __call__(self) -> bytes:
        """The key set. Raises :class:`KeySetUnavailable`."""
        try:
            async with asyncio.timeout(self._timeout):
                address = read_configuration(await self._configuration(), self._issuer)
                return await self._document(address)()
        except TimeoutError:
            raise KeySetUnavailable(
                f"{discovery_url(self._issuer)} and the keys took more than {self._timeout:g} s"
            ) from None


def discovery_url(issuer: str) -> str:
    """The address of an issuer's configuration (OpenID Connect Discovery 1.0, section 4)."""
    return issuer.removesuffix("/") + _WELL_KNOWN


def read_configuration(document: bytes, issuer: str) -> str:
    """The address of the keys in an issuer's configuration, which must be that of the issuer
    (OpenID Connect Discovery 1.0, section 4.3). Raises :class:`KeySetUnavailable`."""
    where = discovery_url(issuer)
    try:
        configuration = read_object(document)
    except ValueError as error:
        raise KeySetUnavailable(f"{where}: {error}") from error
    if configuration.get("issuer") != issuer:
        shown = str(configuration.get("issuer"))[:200]
        raise KeySetUnavailable(
            f"{where} is the configuration of the issuer {shown!r}, not of {issuer!r}: issuer must"
            " be exactly as it writes itself"
        )
    address = configuration.get("jwks_uri")
    if not isinstance(address, str) or not _is_as_safe(address, as_=issuer):
        raise KeySetUnavailable(
            f"{where}: jwks_uri is not an address that keys can be fetched from"
        )
    return address


def _is_as_safe(address: str, *, as_: str) -> bool:
    """Whether it is a plain HTTP address, and over TLS if the other is."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return False
    schemes = ("https",) if as_.startswith("https:") else ("https", "http")
    return (
        parts.scheme in schemes
        and bool(parts.hostname)
        and "@" not in parts.netloc
        and address.isascii()
        and address.isprintable()
        and " " not in address
    )
