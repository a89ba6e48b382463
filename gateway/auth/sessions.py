"""The session cookie's value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gateway.auth.signing import IdentitySigner
from gateway.domain.identity import Identity


class Sessions:
    """``lifetime`` is in seconds, ``clock`` gives seconds since the epoch."""

    def __init__(self, secret: str, *, lifetime: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lifetime = lifetime
        self._signer = IdentitySigner(secret, "session", clock=clock)

    def issue(self, identity: Identity) -> str:
        """A cookie that ends with the session's lifetime, or with the proof if that is sooner."""
        end = min(identity.expires_at, self._clock() + self._lifetime)
        return self._signer.sign(replace(identity, expires_at=end))

    def verify(self, cookie: str) -> Identity:
        """Who this is and until when. Raises :class:`NotAuthenticated`."""
        return self._signer.verify(cookie)
