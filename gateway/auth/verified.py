"""A cache of credentials that were verified a moment ago; a signature costs more than the rest of a
request."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Final

from gateway.domain.identity import Identity
from gateway.expiring import Expiring

#: Seconds. A key that is withdrawn stops counting after this time; an expiry counts at once.
LIFETIME: Final = 60.0
CAPACITY: Final = 10_000


class Verified:
    """Verified credentials of one kind, by their hash: the credentials themselves are not kept.
    ``clock``: Unix time."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: Expiring[bytes, Identity] = Expiring(CAPACITY, LIFETIME, clock=clock)

    def get(self, proof: str) -> Identity | None:
        """The identity of the credential, if it was verified lately and has not ended since."""
        identity = self._known.get(_key(proof))
        if identity is None or identity.expires_at <= self._clock():
            return None
        return identity

    def add(self, proof: str, identity: Identity) -> None:
        self._known.put(_key(proof), identity)


def _key(proof: str) -> bytes:
    return sha256(proof.encode(errors="surrogatepass")).digest()
