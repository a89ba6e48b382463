"""An issuer's published keys (RFC 7517), fetched when they are needed and remembered."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import jwt
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from gateway.auth.keys import PublicKey, algorithm_of
from gateway.errors import TokenInvalid, Unavailable

logger = logging.getLogger(__name__)

MAX_BYTES: Final = 256 * 1024
#: Seconds for the whole fetch.
TIMEOUT: Final = 5.0


class KeySetUnavailable(Exception):
    """The keys could not be fetched or read; the text is for the log."""


@dataclass(frozen=True, slots=True)
class PublishedKey:
    kid: str | None
    algorithm: str
    key: PublicKey


class Jwks:
    """Keys by ``kid``. ``fetch`` gets the document or raises :class:`KeySetUnavailable`.

    They are fetched again after ``lifetime`` and when a token names an unknown one, but not within
    ``cooldown`` of the last attempt. While the issuer is away, the keys known before go on working.
    ``clock`` and both durations are in seconds.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[bytes]],
        algorithms: tuple[str, ...],
        *,
        lifetime: float,
        cooldown: float,
        clock: Callable[[], float],
    ) -> None:
        self.algorithms = algorithms
        self._fetch = fetch
        self._lifetime = lifetime
        self._cooldown = cooldown
        self._clock = clock
        self._keys: tuple[PublishedKey, ...] = ()
        self._failed = False
        self._fresh_until = self._next_attempt = clock()
        self._refresh: asyncio.Task[None] | None = None

    async def key(self, algorithm: str, kid: str | None) -> PublicKey:
        """Raises :class:`TokenInvalid` for an unknown key, :class:`Unavailable` without any."""
        found = self._find(algorithm, kid)
        now = self._clock()
        if (found is None or now >= self._fresh_until) and now >= self._next_attempt:
            await self._refreshed()
            found = self._find(algorithm, kid)
        if found is not None:
            return found
        if self._failed:
            raise Unavailable(
                "the keys that tokens are checked with cannot be fetched at the moment",
                retry_after=max(0.0, self._next_attempt - self._clock()),
            )
        raise TokenInvalid("the token is signed with a key that its issuer does not publish")

    async def close(self) -> None:
        """End a fetch that is under way."""
        if self._refresh is not None:
            self._refresh.cancel()
            await asyncio.wait([self._refresh])

    def _find(self, algorithm: str, kid: str | None) -> PublicKey | None:
        fitting = [k.key for k in self._keys if k.algorithm == algorithm and kid in (None, k.kid)]
        # Without a kid, only where there is no choice.
        return fitting[0] if fitting and (kid is not None or len(fitting) == 1) else None

    async def _refreshed(self) -> None:
        """Join the fetch under way, or start one; a waiter that leaves does not end it."""
        if self._refresh is None:
            self._refresh = asyncio.create_task(self._fetch_and_read())
        await asyncio.shield(self._refresh)

    async def _fetch_and_read(self) -> None:
        try:
            self._keys = read_key_set(await self._fetch(), self.algorithms)
        except KeySetUnavailable as error:
            self._failed = True
            logger.warning("the key set of the tokens' issuer: %s", error)
        else:
            self._failed = False
            self._fresh_until = self._clock() + self._lifetime
        finally:
            self._next_attempt = self._clock() + self._cooldown
            self._refresh = None


def read_key_set(document: bytes, algorithms: tuple[str, ...]) -> tuple[PublishedKey, ...]:
    """The public signing keys that fit the algorithms; others are passed over (RFC 7517, 5).

    Raises :class:`KeySetUnavailable` when there is none.
    """
    try:
        entries = json.loads(document)["keys"]
        keys = tuple(key for entry in entries if (key := _read_key(entry, algorithms)))
    except (ValueError, RecursionError, LookupError, TypeError) as error:
        raise KeySetUnavailable("it is no JSON object with a list of keys") from error
    if not keys:
        raise KeySetUnavailable(f"it holds no key for {' or '.join(algorithms)}")
    return keys


def _read_key(entry: Any, algorithms: tuple[str, ...]) -> PublishedKey | None:
    if not isinstance(entry, dict):
        return None
    if entry.get("use", "sig") != "sig" or "verify" not in entry.get("key_ops", ["verify"]):
        return None
    try:
        key = jwt.PyJWK(entry).key
    except jwt.PyJWTError:
        return None
    algorithm = algorithm_of(key)
    if algorithm not in algorithms or entry.get("alg", algorithm) != algorithm:
        return None
    return PublishedKey(entry.get("kid"), algorithm, key)


class HttpDocument:
    """GET a small document; to be made inside the running loop. Redirects are not followed."""

    def __init__(self, url: str, *, timeout: float = TIMEOUT, max_bytes: int = MAX_BYTES) -> None:
        self._request = HTTPRequest(
            url,
            headers={"Accept": "application/json"},
            connect_timeout=timeout,
            request_timeout=timeout,
            follow_redirects=False,
            # What is compressed could unfold beyond the limit.
            decompress_response=False,
        )
        self._client = SimpleAsyncHTTPClient(force_instance=True, max_body_size=max_bytes)

    async def __call__(self) -> bytes:
        """The body. Raises :class:`KeySetUnavailable`."""
        try:
            response = await self._client.fetch(self._request)
        except (HTTPClientError, OSError) as error:
            raise KeySetUnavailable(f"GET {self._request.url}: {error}") from error
        return response.body
