"""The session cookie's value: the user, the end of the session, and its login."""

from __future__ import annotations

import secrets
from dataclasses import replace

from broker.timing.readings import UnixTime
from gateway.auth.revocations import AccessEnded
from gateway.auth.shared_secret import SharedSecret
from gateway.auth.signing import IdentitySigner
from gateway.domain.identity import Identity
from gateway.errors import TokenExpired


class Sessions:
    """A signer and checker of session cookies.

    ``lifetime`` is in seconds.
    """

    def __init__(
        self, secret: SharedSecret, *, lifetime: float, clock: UnixTime, ended: AccessEnded
    ) -> None:
        self._clock = clock
        self._lifetime = lifetime
        #: By whether the cookie was set over TLS. Over TLS the plain one is still read, so that
        #: logins from before an upgrade, or before TLS, go on until their end; nobody can make one
        #: over TLS any more.
        self._signers = {
            False: IdentitySigner(secret, "session", clock=clock),
            True: IdentitySigner(secret, "session over TLS", clock=clock),
        }
        self._ended = ended

    def open(self, identity: Identity) -> Identity:
        """The identity in a new session, which ends with the session's lifetime, or with the proof
        if that is sooner."""
        end = min(identity.expires_at, self._clock() + self._lifetime)
        return replace(identity, expires_at=end, session=secrets.token_urlsafe(18), token=None)

    def sign(self, identity: Identity, *, secure: bool = False) -> str:
        """The cookie of an identity that has a session. ``secure``: it is set over TLS, under the
        name that only TLS can set."""
        return self._signers[secure].sign(identity)

    def verify(self, cookie: str, *, secure: bool = False) -> Identity:
        """The user of a cookie, and the session's end. Raises :class:`NotAuthenticated`,
        :class:`KeptOut`."""
        identity = self._signers[secure].verify(cookie)
        if identity.session is None:
            raise TokenExpired("this session is from before an upgrade: log in again")
        self._ended.check(identity)
        return identity

    def check(self, identity: Identity) -> None:
        """Raises :class:`SessionEnded` if the session of an identity verified before has ended,
        :class:`KeptOut`."""
        self._ended.check(identity)
