"""One issuer of tokens that the configuration trusts, and the check of its JSON Web Tokens (RFC
7519, with the advice of RFC 8725)."""

from __future__ import annotations

import json
import time
from typing import Any, Final

import jwt
from cachetools import LRUCache

from broker.timing.readings import UnixTime
from gateway.auth import claims as read
from gateway.auth.keys import KeySource
from gateway.auth.unused_roles import UnusedRoles
from gateway.config import Jwt as Settings
from gateway.domain.display_name import display_name
from gateway.domain.guest import account_name
from gateway.domain.identity import Identity
from gateway.domain.revocation import TokenMark, listed
from gateway.domain.user_name import user_name, written_otherwise
from gateway.errors import TokenExpired, TokenInvalid

#: The last second that can be written as a date (9999-12-31T23:59:59Z).
LAST_SECOND: Final = 253_402_300_799
_SHOWN: Final = 100
#: Headers that are remembered; up to ``max_bytes`` each.
_HEADERS: Final = 16


class _Parser(jwt.PyJWT):
    """PyJWT, which would take the last of two claims with one name."""

    def _decode_payload(self, decoded: dict[str, Any]) -> dict[str, Any]:
        try:
            return read.read_object(decoded["payload"])
        except ValueError as error:
            raise jwt.DecodeError(str(error)) from error


_PARSER: Final = _Parser()


class Issuer:
    """A checker of one issuer's tokens. ``known_roles`` are the system roles that are used; a
    token's other roles, of which there may be many, are left out of the identity. ``table``: its
    name in the configuration, for the log."""

    def __init__(
        self,
        settings: Settings,
        keys: KeySource,
        *,
        known_roles: frozenset[str],
        table: str = "auth.jwt",
        clock: UnixTime = time.time,
    ) -> None:
        self._clock = clock
        self.settings = settings
        self.keys = keys
        self._known_roles = known_roles
        self._unused_roles = UnusedRoles(
            settings.issuer, table=table, claims=" or ".join(map(_named, settings.roles_claim))
        )
        # An issuer writes the same few headers again and again, and parsing one is half of the
        # work.
        self._headers: LRUCache[str, dict[str, Any]] = LRUCache(_HEADERS)

    async def verify(self, token: str) -> Identity:
        """The user of a token. Raises :class:`TokenInvalid` and :class:`TokenExpired`, whose texts
        say what is wrong, and :class:`Unavailable` when the issuer's keys cannot be fetched."""
        most = self.settings.max_bytes
        if len(token) > most or not token.isascii():
            raise TokenInvalid(f"a token must be ASCII and at most {most} bytes long")
        algorithms = self.keys.algorithms
        header = self._header(token)
        algorithm = header.get("alg")
        if algorithm not in algorithms:
            raise TokenInvalid(f"a token must be signed by {' or '.join(algorithms)}")
        # Whatever else the header says of a key (jku, jwk, x5u, x5c), the issuer's own keys count.
        key = await self.keys.key(algorithm, header.get("kid"))
        return self._identity(self._claims(token, key, algorithm))

    async def close(self) -> None:
        """End a fetch of keys that is under way."""
        await self.keys.close()

    def _header(self, token: str) -> dict[str, Any]:
        segment = token.partition(".")[0]
        header = self._headers.get(segment)
        if header is None:
            try:
                header = jwt.get_unverified_header(token)
                # It would take the last of two parameters with one name.
                read.unverified(token, 0)
            except (jwt.PyJWTError, ValueError) as error:
                raise TokenInvalid("this is not a JSON Web Token") from error
            self._headers[segment] = header
        return header

    def _claims(self, token: str, key: Any, algorithm: str) -> dict[str, Any]:
        settings = self.settings
        audience = settings.audience or None
        try:
            claims = _PARSER.decode(
                token,
                key,
                algorithms=(algorithm,),
                issuer=settings.issuer,
                audience=audience,
                leeway=settings.leeway,
                # A clock that is ahead when it writes iat does not make the token a bad one: nbf
                # says from when on it counts (RFC 7519, section 4.1).
                options={
                    "require": ["iss", "exp", *(["aud"] if audience else [])],
                    "verify_iat": False,
                },
            )
        except jwt.ExpiredSignatureError as error:
            raise TokenExpired("the token has expired; get a new one") from error
        except jwt.ImmatureSignatureError as error:
            raise TokenInvalid("the token is not valid yet (nbf)") from error
        except jwt.MissingRequiredClaimError as error:
            raise TokenInvalid(f"the token has no {error.claim!r}, which is required") from error
        except jwt.InvalidAudienceError as error:
            raise TokenInvalid(_mismatch("audience", token, "aud", settings.audience)) from error
        except jwt.InvalidIssuerError as error:
            raise TokenInvalid(_mismatch("issuer", token, "iss", [settings.issuer])) from error
        except jwt.InvalidSignatureError as error:
            raise TokenInvalid("the token's signature is not its issuer's") from error
        except jwt.PyJWTError as error:
            raise TokenInvalid("the token is malformed") from error
        self._check_required(claims)
        return claims

    def _check_required(self, claims: dict[str, Any]) -> None:
        for name, allowed in self.settings.required.items():
            if not read.is_one_of(claims.get(name), allowed):
                shown = json.dumps(claims.get(name))[:_SHOWN]
                raise TokenInvalid(
                    f"the token's {name!r} is {shown}, this gateway expects"
                    f" {' or '.join(map(json.dumps, allowed))}"
                )

    def _identity(self, claims: dict[str, Any]) -> Identity:
        settings = self.settings
        given = read.find(claims, settings.user_claim)
        name = _named(settings.user_claim)
        if given is None:
            raise TokenInvalid(f"the token has no {name}, which is required")
        try:
            # Alone first: with a prefix, a name of nothing would be one.
            alone = user_name(given)
            user = account_name(settings.user_prefix + alone)
        except ValueError as error:
            raise TokenInvalid(f"the token's {name}: {error}") from error
        return Identity(
            user,
            self._roles(claims),
            min(int(claims["exp"]), LAST_SECOND),
            display_name=self._display_name(claims) or written_otherwise(given, alone),
            token=self._mark(user, claims),
        )

    def _mark(self, user: str, claims: dict[str, Any]) -> TokenMark:
        """The facts by which the token can be revoked. Clocks may differ, so it may have been
        issued earlier than it says. One that does not say, or names a moment to come, has been
        issued long ago. The prefix keeps two issuers' subjects and token ids apart, as it does
        their users."""
        prefix, id, subject = self.settings.user_prefix, claims.get("jti"), claims.get("sub")
        return TokenMark(
            listed(prefix + id) if isinstance(id, str) else None,
            listed(prefix + subject) if isinstance(subject, str) else user,
            self._issued_at(claims.get("iat")),
        )

    def _issued_at(self, claim: object) -> float:
        leeway = self.settings.leeway
        if not isinstance(claim, int | float) or not 0 <= claim <= self._clock() + leeway:
            return 0.0
        return claim - leeway

    def _roles(self, claims: dict[str, Any]) -> frozenset[str]:
        theirs: set[str] = set()
        for path in self.settings.roles_claim:
            given = read.find(claims, path)
            if given is None:
                continue
            try:
                theirs.update(read.words(given))
            except ValueError as error:
                raise TokenInvalid(f"the token's {_named(path)} {error}") from error
        mapped = self.settings.roles
        named = {ours for role in theirs for ours in mapped.get(role, ())} if mapped else theirs
        roles = self._known_roles.intersection(named)
        if not roles:
            self._unused_roles.note(theirs)
        return roles

    def _display_name(self, claims: dict[str, Any]) -> str | None:
        """The name to show. One that cannot be shown keeps nobody out."""
        if self.settings.name_claim is None:
            return None
        try:
            return display_name(read.find(claims, self.settings.name_claim))
        except ValueError:
            return None


def _named(path: read.Path) -> str:
    """A claim's place, for texts."""
    return " in ".join(repr(name) for name in reversed(path))


def _mismatch(what: str, token: str, claim: str, expected: tuple[str, ...] | list[str]) -> str:
    """The error for a token with the wrong issuer or audience. It shows the token's value, so the
    signature must be valid."""
    claims = jwt.decode(token, options={"verify_signature": False})
    found = json.dumps(claims[claim])[:_SHOWN]
    right = " or ".join(map(json.dumps, expected)) if expected else "a token without one"
    return f"the token's {what} is {found}, this gateway expects {right}"
