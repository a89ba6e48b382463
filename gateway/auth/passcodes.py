"""Passcodes by which a relay logs in to RabbitMQ as its user, valid for one dial."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from broker.timing.readings import UnixTime
from gateway.auth.revocations import AccessEnded
from gateway.auth.shared_secret import SharedSecret
from gateway.auth.signing import IdentitySigner
from gateway.domain.identity import Identity
from gateway.errors import TokenInvalid

#: Seconds between the gateway's signing and RabbitMQ's question.
LIFETIME: Final = 60.0
#: Seconds by which the clocks of two gateways may differ.
LEEWAY: Final = 5.0


class Passcodes:
    """A signer and checker of passcodes; any gateway with the same secret can check them.

    ``ended``: those whose passcodes are refused; None: nobody's.
    """

    def __init__(
        self, secret: SharedSecret, *, clock: UnixTime, ended: AccessEnded | None = None
    ) -> None:
        self._clock = clock
        self._ended = ended
        self._signer = IdentitySigner(secret, "passcode", clock=clock, leeway=LEEWAY)

    def issue(self, identity: Identity) -> str:
        end = min(identity.expires_at, self._clock() + LIFETIME)
        # RabbitMQ asks about the name and the roles alone, and may write the passcode into a URL.
        return self._signer.sign(replace(identity, expires_at=end, display_name=None))

    def verify(self, user: str, passcode: str) -> frozenset[str]:
        """The user's system roles. Raises :class:`NotAuthenticated` if the passcode is not theirs
        or their access has ended, :class:`KeptOut`."""
        identity = self._signer.verify(passcode)
        if identity.user != user:
            raise TokenInvalid("the passcode belongs to another user")
        if self._ended is not None:
            self._ended.check(identity)
        return identity.roles
