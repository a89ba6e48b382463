"""An issuer's published keys (RFC 7517), fetched when needed and cached."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import jwt
from cachetools import LRUCache

from broker.timing.readings import Monotonic
from broker.timing.tasks import Cancelled, Tasks, shared
from gateway.auth.documents import KeySetUnavailable
from gateway.auth.keys import PublicKey, algorithms_of
from gateway.errors import TokenInvalid, Unavailable

logger = logging.getLogger(__name__)

#: Seconds for which a token with a known key waits when it triggers a new fetch: if the issuer
#: answers at once, a withdrawn key ends with its lifetime. After a fetch that failed none waits.
GRACE: Final = 0.05
#: Unknown keys that are remembered, by a hash. A client that invents keys may push others out,
#: which only turns "invalid" into "try again".
MEMORY: Final = 10_000
#: Keys that were published once. Only the issuer can add to these.
WITHDRAWN: Final = 256


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A key, and the configured algorithms that it fits."""

    kid: str | None
    algorithms: tuple[str, ...]
    key: PublicKey


class Jwks:
    """An issuer's keys by ``kid``. ``fetch`` gets the document or raises
    :class:`KeySetUnavailable`. ``of``: whose keys they are, for the log.

    They are fetched again after ``lifetime`` and when a token names an unknown one, but not within
    ``cooldown`` of the last attempt. A token whose key is known does not wait for that, and while
    the issuer is away the known keys go on working. An unknown key is invalid once a fetch that
    began after the token came does not have it; until then it cannot be decided, because an issuer
    signs with a new key as soon as it has published it. Both durations are in
    seconds.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[bytes]],
        algorithms: tuple[str, ...],
        *,
        lifetime: float,
        cooldown: float,
        clock: Monotonic,
        tasks: Tasks | None = None,
        of: str = "the tokens' issuer",
    ) -> None:
        self._of = of
        self.algorithms = algorithms
        self._fetch = fetch
        self._lifetime = lifetime
        self._cooldown = cooldown
        self._clock = clock
        self._keys: tuple[PublishedKey, ...] = ()
        self._failed = False
        self._fresh_until = self._next_attempt = clock()
        self._tasks = Tasks() if tasks is None else tasks
        self._refresh: asyncio.Task[None] | None = None
        #: Unknown keys: those asked for since the last fetch began, and those that a fetch did not
        #: have.
        self._wanted: LRUCache[bytes, None] = LRUCache(MEMORY)
        self._absent: LRUCache[bytes, None] = LRUCache(MEMORY)
        self._withdrawn: LRUCache[bytes, None] = LRUCache(WITHDRAWN)

    def go_on(self, before: Jwks) -> None:
        """Know what another set knows, which another configuration has of the same issuer."""
        self._keys, self._failed = before._keys, before._failed
        self._fresh_until = before._fresh_until
        self._next_attempt = before._next_attempt
        self._absent.update(before._absent)
        self._withdrawn.update(before._withdrawn)

    async def key(self, algorithm: str, kid: str | None) -> PublicKey:
        """The key of this name. Raises :class:`TokenInvalid` for a key that the issuer does not
        publish, :class:`Unavailable` while that cannot be decided."""
        found = self._find(algorithm, kid)
        if found is not None:
            if self._clock() < self._fresh_until or not self._may_begin():
                return found
            await asyncio.wait({self._begin()}, timeout=0.0 if self._failed else GRACE)
            found = self._find(algorithm, kid)
            if found is not None:
                return found
        if kid is None and any(algorithm in k.algorithms for k in self._keys):
            raise TokenInvalid(
                "the token must name a key (kid), because its issuer publishes several"
            )
        mark = _mark(algorithm, kid)
        if not self._lacks(mark):
            self._wanted[mark] = None
        if self._refresh is not None or self._may_begin():
            await self._refreshed()
            found = self._find(algorithm, kid)
            if found is not None:
                return found
        if self._failed:
            raise self._later("the keys that tokens are checked with cannot be fetched")
        if not self._lacks(mark):
            raise self._later("the token's key is unknown, and its issuer was asked a moment ago")
        raise TokenInvalid("the token is signed with a key that its issuer does not publish")

    async def _refreshed(self) -> None:
        """Wait for the fetch under way, or a new one; a caller that leaves does not end it."""
        try:
            await shared(self._refresh or self._begin())
        except Cancelled as error:
            raise self._later("the fetch of the token's key was cancelled") from error

    async def close(self) -> None:
        """End a fetch that is under way."""
        await self._tasks.close()

    def _find(self, algorithm: str, kid: str | None) -> PublicKey | None:
        fitting = [k.key for k in self._keys if algorithm in k.algorithms and kid in (None, k.kid)]
        # Without a kid, only if there is a single key.
        return fitting[0] if fitting and (kid is not None or len(fitting) == 1) else None

    def _lacks(self, mark: bytes) -> bool:
        """Whether a fetch has shown that the key is not published. Asking keeps it in memory."""
        return (
            self._absent.get(mark, _NEVER) is not _NEVER
            or self._withdrawn.get(mark, _NEVER) is not _NEVER
        )

    def _later(self, why: str) -> Unavailable:
        wait = max(0.0, self._next_attempt - self._clock())
        return Unavailable(f"{why}; try again later", retry_after=wait)

    def _may_begin(self) -> bool:
        return self._refresh is None and self._clock() >= self._next_attempt

    def _begin(self) -> asyncio.Task[None]:
        self._refresh = self._tasks.spawn(self._fetch_and_read(), f"keys of {self._of}")
        return self._refresh

    async def _fetch_and_read(self) -> None:
        asked_for = tuple(self._wanted)
        try:
            keys = read_key_set(await self._fetch(), self.algorithms)
        except KeySetUnavailable as error:
            self._failed = True
            logger.warning(
                "the keys of %s cannot be fetched; its tokens with unknown keys get 503 meanwhile,"
                " those with known keys are taken: %s",
                self._of,
                error,
            )
        else:
            self._failed = False
            self._fresh_until = self._clock() + self._lifetime
            self._replace(keys, asked_for)
        finally:
            self._next_attempt = self._clock() + self._cooldown
            self._refresh = None

    def _replace(self, keys: tuple[PublishedKey, ...], asked_for: tuple[bytes, ...]) -> None:
        for mark in asked_for:
            self._wanted.pop(mark, None)
            self._absent[mark] = None
        for mark in _marks(self._keys):
            self._withdrawn[mark] = None
        self._keys = keys
        for mark in _marks(keys):
            for gone in (self._absent, self._withdrawn):
                gone.pop(mark, None)


_NEVER: Final = object()


def _mark(algorithm: str, kid: str | None) -> bytes:
    """A key's name in few bytes: a token may have one of kilobytes."""
    words = (algorithm, kid)
    return sha256(repr(words).encode(errors="surrogatepass")).digest()


def _marks(keys: Iterable[PublishedKey]) -> Iterator[bytes]:
    return (_mark(algorithm, key.kid) for key in keys for algorithm in key.algorithms)


def read_key_set(document: bytes, algorithms: tuple[str, ...]) -> tuple[PublishedKey, ...]:
    """The public signing keys that fit the algorithms; others are skipped (RFC 7517, section 5).

    Raises :class:`KeySetUnavailable` if there is none.
    """
    try:
        entries = json.loads(document)["keys"]
        keys = tuple(key for entry in entries if (key := _read_key(entry, algorithms)))
    except (ValueError, RecursionError, LookupError, TypeError) as error:
        raise KeySetUnavailable("it is not a JSON object with a list of keys") from error
    if not keys:
        raise KeySetUnavailable(f"it holds no key for {' or '.join(algorithms)}")
    return keys


def _read_key(entry: Any, algorithms: tuple[str, ...]) -> PublishedKey | None:
    if not isinstance(entry, dict):
        return None
    # Some issuers write null for what is not there.
    use, operations = entry.get("use"), entry.get("key_ops")
    if use not in (None, "sig") or (operations is not None and "verify" not in operations):
        return None
    kid, alone = entry.get("kid"), entry.get("alg")
    if not isinstance(kid, str | None) or (alone is not None and alone not in algorithms):
        return None
    try:
        # PyJWT knows only one of the curves of EdDSA (RFC 8037) if the key names no algorithm.
        key = jwt.PyJWK(entry, "EdDSA" if entry.get("kty") == "OKP" else None).key
    except jwt.PyJWTError:
        return None
    fitting = tuple(
        each for each in algorithms_of(key) if each in algorithms and alone in (None, each)
    )
    return PublishedKey(kid, fitting, key) if fitting else None
