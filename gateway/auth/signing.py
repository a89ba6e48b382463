"""Identities that the gateway signs for itself: session cookies and broker passcodes."""

from __future__ import annotations

import secrets
from typing import Final

import jwt
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from broker.timing.readings import UnixTime
from gateway.domain.identity import Identity
from gateway.errors import TokenExpired, TokenInvalid

#: Far longer than anything signed here; browsers keep cookies of 4096 bytes at most.
MAX_BYTES: Final = 8 * 1024


def derived_key(secret: str, purpose: str) -> bytes:
    """A key of 32 bytes that is valid for one purpose only (HKDF, RFC 5869)."""
    info = f"interact-gateway {purpose}".encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret.encode())


class IdentitySigner:
    """A signer of identities for one purpose; a signature for another purpose is not valid.

    JWT (RFC 7519) by HS256, with a key of its own for the purpose. ``leeway``: seconds
    after the end.
    """

    def __init__(self, secret: str, purpose: str, *, clock: UnixTime, leeway: float = 0.0) -> None:
        self._key = derived_key(secret, purpose)
        self._purpose = purpose
        self._clock = clock
        self._leeway = leeway

    def sign(self, identity: Identity) -> str:
        claims = {
            "aud": self._purpose,
            "sub": identity.user,
            "roles": sorted(identity.roles),
            "exp": identity.expires_at,
            "jti": secrets.token_urlsafe(12),
        }
        if identity.session is not None:
            claims["sid"] = identity.session
        if identity.display_name is not None:
            claims["name"] = identity.display_name
        return jwt.encode(claims, self._key, algorithm="HS256")

    def verify(self, signed: str) -> Identity:
        """The signed identity. Raises :class:`TokenInvalid`, :class:`TokenExpired`."""
        if len(signed) > MAX_BYTES or not signed.isascii():
            raise self._invalid()
        try:
            claims = jwt.decode(
                signed,
                self._key,
                algorithms=["HS256"],
                audience=self._purpose,
                # The end is checked below, by the clock that was passed in.
                options={"require": ["aud", "sub", "exp"], "verify_exp": False},
            )
        except jwt.InvalidTokenError as error:
            raise self._invalid() from error
        if claims["exp"] + self._leeway <= self._clock():
            raise TokenExpired(f"the {self._purpose} has ended")
        roles = frozenset(claims["roles"])
        return Identity(
            claims["sub"],
            roles,
            claims["exp"],
            claims.get("sid"),
            display_name=claims.get("name"),
        )

    def _invalid(self) -> TokenInvalid:
        return TokenInvalid(f"this is not a valid {self._purpose} of this gateway")
