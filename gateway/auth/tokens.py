"""JSON Web Tokens (RFC 7519) of the issuer that the configuration trusts."""

from __future__ import annotations

import json
from typing import Any, Final

import jwt
from cachetools import LRUCache

from broker.timing.clock import Clock
from broker.timing.readings import Monotonic
from broker.timing.tasks import Tasks
from gateway.auth.access import AccessRules
from gateway.auth.jwks import HttpDocument, Jwks
from gateway.auth.keys import KeySource, OneKey, read_key_file
from gateway.auth.names import user_name
from gateway.config import Config, ConfigError
from gateway.config import Jwt as Settings
from gateway.domain.display_name import display_name
from gateway.domain.identity import ADMIN, HOST, Identity
from gateway.domain.revocation import TokenMark, listed
from gateway.errors import TokenExpired, TokenInvalid

MAX_BYTES: Final = 8 * 1024
#: The last second that can be written as a date (9999-12-31T23:59:59Z).
LAST_SECOND: Final = 253_402_300_799
_SHOWN: Final = 100
#: Headers that are remembered; up to `MAX_BYTES` each.
_HEADERS: Final = 16


class Tokens:
    """A checker of tokens. ``known_roles`` are the system roles that are used; a token's other
    roles, of which there may be many, are left out of the identity."""

    def __init__(self, settings: Settings, keys: KeySource, *, known_roles: frozenset[str]) -> None:
        self.settings = settings
        self.keys = keys
        self._known_roles = known_roles
        # An issuer writes the same few headers again and again, and parsing one is half of the
        # work.
        self._headers: LRUCache[str, dict[str, Any]] = LRUCache(_HEADERS)

    async def verify(self, token: str) -> Identity:
        """The user of a token. Raises :class:`TokenInvalid` and :class:`TokenExpired`, whose texts
        say what is wrong, and :class:`Unavailable` when the issuer's keys cannot be fetched."""
        if len(token) > MAX_BYTES or not token.isascii():
            raise TokenInvalid(f"a token must be ASCII and at most {MAX_BYTES} bytes long")
        algorithms = self.keys.algorithms
        header = self._header(token)
        algorithm = header.get("alg")
        if algorithm not in algorithms:
            raise TokenInvalid(f"a token must be signed by {' or '.join(algorithms)}")
        key = await self.keys.key(algorithm, header.get("kid"))
        return self._identity(self._claims(token, key, algorithms))

    async def close(self) -> None:
        """End a fetch of keys that is under way."""
        await self.keys.close()

    def _header(self, token: str) -> dict[str, Any]:
        segment = token.partition(".")[0]
        header = self._headers.get(segment)
        if header is None:
            try:
                header = self._headers[segment] = jwt.get_unverified_header(token)
            except jwt.PyJWTError as error:
                raise TokenInvalid("this is not a JSON Web Token") from error
        return header

    def _claims(self, token: str, key: Any, algorithms: tuple[str, ...]) -> dict[str, Any]:
        settings = self.settings
        try:
            return jwt.decode(
                token,
                key,
                algorithms=algorithms,
                issuer=settings.issuer,
                audience=settings.audience,
                leeway=settings.leeway,
                options={"require": ["iss", "aud", "exp", settings.user_claim]},
            )
        except jwt.ExpiredSignatureError as error:
            raise TokenExpired("the token has expired; get a new one") from error
        except jwt.ImmatureSignatureError as error:
            raise TokenInvalid("the token is not valid yet (nbf, iat)") from error
        except jwt.MissingRequiredClaimError as error:
            raise TokenInvalid(f"the token has no {error.claim!r}, which is required") from error
        except jwt.InvalidAudienceError as error:
            raise TokenInvalid(_mismatch("audience", token, "aud", settings.audience)) from error
        except jwt.InvalidIssuerError as error:
            raise TokenInvalid(_mismatch("issuer", token, "iss", settings.issuer)) from error
        except jwt.InvalidSignatureError as error:
            raise TokenInvalid("the token's signature is not its issuer's") from error
        except jwt.PyJWTError as error:
            raise TokenInvalid("the token is malformed") from error

    def _identity(self, claims: dict[str, Any]) -> Identity:
        settings = self.settings
        try:
            user = user_name(claims[settings.user_claim])
        except ValueError as error:
            raise TokenInvalid(f"the token's {settings.user_claim!r}: {error}") from error
        roles = claims.get(settings.roles_claim, [])
        if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
            raise TokenInvalid(f"the token's {settings.roles_claim!r} must be a list of strings")
        expires_at = min(int(claims["exp"]), LAST_SECOND)
        return Identity(
            user,
            self._known_roles.intersection(roles),
            expires_at,
            display_name=self._display_name(claims),
            token=self._mark(user, claims),
        )

    def _display_name(self, claims: dict[str, Any]) -> str | None:
        """The name to show. One that cannot be shown keeps nobody out."""
        claim = self.settings.name_claim
        if claim is None:
            return None
        try:
            return display_name(claims.get(claim))
        except ValueError:
            return None

    def _mark(self, user: str, claims: dict[str, Any]) -> TokenMark:
        """The facts by which the token can be revoked. Clocks may differ, so it may have been
        issued earlier than it says. One that does not say has been issued long ago."""
        id, subject, issued_at = claims.get("jti"), claims.get("sub"), claims.get("iat")
        return TokenMark(
            listed(id) if isinstance(id, str) else None,
            listed(subject) if isinstance(subject, str) else user,
            issued_at - self.settings.leeway if isinstance(issued_at, int | float) else 0.0,
        )


def key_source(settings: Settings, *, clock: Monotonic, tasks: Tasks | None = None) -> KeySource:
    """The configured kind of key source; call this inside the running loop.

    Raises :class:`ConfigError`.
    """
    if settings.secret is not None:
        return OneKey(settings.secret.get_secret_value().encode(), "HS256")
    if settings.key_file is not None:
        return read_key_file(settings.key_file, settings.algorithms)
    assert settings.jwks_url is not None  # noqa: S101 - the configuration has exactly one of three
    return Jwks(
        HttpDocument(settings.jwks_url),
        settings.algorithms,
        lifetime=settings.jwks_lifetime,
        cooldown=settings.jwks_cooldown,
        clock=clock,
        tasks=tasks,
    )


def tokens_for(
    config: Config, access: AccessRules, *, clock: Clock, tasks: Tasks, before: Tokens | None = None
) -> Tokens | None:
    """The checker of tokens for this configuration. Keys that ``before`` has fetched stay known.

    Raises :class:`ConfigError`.
    """
    settings = config.auth.jwt
    if settings is None:
        return None
    if before is not None and before.settings == settings and settings.jwks_url is not None:
        keys = before.keys
    else:
        keys = key_source(settings, clock=clock.monotonic, tasks=tasks.part())
    return Tokens(settings, keys, known_roles=access.roles | {ADMIN, HOST})


def issue(
    settings: Settings, user: str, *, roles: frozenset[str], expires_at: float, now: float
) -> str:
    """Sign a token that this gateway accepts, for trying it out; times are seconds since the epoch.

    Raises :class:`ConfigError` unless tokens are signed with a shared secret, ``ValueError`` for a
    value that cannot name a user.
    """
    if settings.secret is None:
        raise ConfigError("auth.jwt: the gateway can sign tokens only with a shared secret (HS256)")
    claims = {
        "iss": settings.issuer,
        "aud": settings.audience,
        settings.user_claim: user_name(user),
        settings.roles_claim: sorted(roles),
        "iat": int(now),
        "exp": int(expires_at),
    }
    return jwt.encode(claims, settings.secret.get_secret_value(), algorithm="HS256")


def _mismatch(what: str, token: str, claim: str, expected: str) -> str:
    """The error for a token with the wrong issuer or audience. It shows the token's value, so the
    signature must be valid."""
    claims = jwt.decode(token, options={"verify_signature": False})
    found = json.dumps(claims[claim])[:_SHOWN]
    return f"the token's {what} is {found}, this gateway expects {json.dumps(expected)}"
