"""Proofs that were found true a moment ago; a signature costs more than all else of a request."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Final

from gateway.domain.identity import Identity
from gateway.expiring import Expiring

#: Seconds. A key that is withdrawn stops counting after this; an expiry at its time.
LIFETIME: Final = 60.0
CAPACITY: Final = 10_000


class Verified:
    """One kind of proof, by its hash: the proofs themselves are not kept. ``clock``: Unix time."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: Expiring[bytes, Identity] = Expiring(CAPACITY, LIFETIME, clock=clock)

    def get(self, proof: str) -> Identity | None:
        """Whose it is, if it was true lately and has not ended since."""
        identity = self._known.get(_key(proof))
        if identity is None or identity.expires_at <= self._clock():
            return None
        return identity

    def add(self, proof: str, identity: Identity) -> None:
        self._known.put(_key(proof), identity)


def _key(proof: str) -> bytes:
    return sha256(proof.encode(errors="surrogatepass")).digest()
