"""Identities that the gateway signs for itself: session cookies and broker passcodes."""

from __future__ import annotations

import secrets
from typing import Any, Final

import jwt

from broker.timing.readings import UnixTime
from gateway.auth.shared_secret import SharedSecret
from gateway.domain.identity import Identity
from gateway.domain.revocation import TokenMark
from gateway.domain.user_name import is_in_form
from gateway.errors import TokenExpired, TokenInvalid

#: Far longer than anything signed here; browsers keep cookies of 4096 bytes at most.
MAX_BYTES: Final = 8 * 1024


class IdentitySigner:
    """A signer of identities for one purpose; a signature for another purpose is not valid.

    JWT (RFC 7519) by HS256, with a key of its own for the purpose. ``leeway``: seconds
    after the end.
    """

    def __init__(
        self, secret: SharedSecret, purpose: str, *, clock: UnixTime, leeway: float = 0.0
    ) -> None:
        self._secret = secret
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
        if (token := identity.token) is not None:
            claims["tok"] = [token.id, token.subject, token.issued_at]
        return jwt.encode(claims, self._secret.keys(self._purpose)[0], algorithm="HS256")

    def verify(self, signed: str) -> Identity:
        """The signed identity. Raises :class:`TokenInvalid`, :class:`TokenExpired`."""
        if len(signed) > MAX_BYTES or not signed.isascii():
            raise self._invalid()
        claims = self._claims(signed)
        if claims["exp"] + self._leeway <= self._clock():
            raise TokenExpired(f"the {self._purpose} has ended")
        if not is_in_form(claims["sub"]):
            # From before names had one form: another user may have this one now.
            raise TokenExpired(f"the {self._purpose} is from before an upgrade: log in again")
        roles = frozenset(claims["roles"])
        token = TokenMark(*claims["tok"]) if "tok" in claims else None
        return Identity(
            claims["sub"],
            roles,
            claims["exp"],
            claims.get("sid"),
            display_name=claims.get("name"),
            token=token,
        )

    def _claims(self, signed: str) -> dict[str, Any]:
        for key in self._secret.keys(self._purpose):
            try:
                return jwt.decode(
                    signed,
                    key,
                    algorithms=["HS256"],
                    audience=self._purpose,
                    # The end is checked by the clock that was passed in.
                    options={"require": ["aud", "sub", "exp"], "verify_exp": False},
                )
            except jwt.InvalidSignatureError:
                # Perhaps it was signed with another version of the secret.
                continue
            except jwt.InvalidTokenError as error:
                raise self._invalid() from error
        raise self._invalid()

    def _invalid(self) -> TokenInvalid:
        return TokenInvalid(f"this is not a valid {self._purpose} of this gateway")
