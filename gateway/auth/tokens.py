"""JSON Web Tokens (RFC 7519) of all issuers that the configuration trusts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jwt

from broker.timing.clock import Clock
from broker.timing.readings import Monotonic
from broker.timing.tasks import Tasks
from gateway import tls
from gateway.auth import claims as read
from gateway.auth.access import AccessRules
from gateway.auth.documents import DiscoveredKeys, HttpDocument
from gateway.auth.issuer import Issuer
from gateway.auth.jwks import Jwks
from gateway.auth.keys import KeySource, OneKey, read_key_file
from gateway.auth.proxy import ThroughProxy
from gateway.config import Config, ConfigError
from gateway.config import Jwt as Settings
from gateway.domain.guest import account_name
from gateway.domain.identity import ADMIN, HOST, OBSERVER, Identity
from gateway.errors import TokenInvalid


class Tokens:
    """A checker of tokens: each is checked by its own issuer, as it names it.

    No issuer speaks for another one's users: a name belongs to the issuer whose prefix is the
    longest that it begins with. The configuration has one issuer for each prefix, or several that
    share their users.
    """

    def __init__(self, issuers: Sequence[Issuer]) -> None:
        self._issuers = {issuer.settings.issuer: issuer for issuer in issuers}
        self._only = issuers[0] if len(issuers) == 1 else None
        self._prefixes = sorted(
            {issuer.settings.user_prefix for issuer in issuers}, key=len, reverse=True
        )

    @property
    def issuers(self) -> Sequence[Issuer]:
        return tuple(self._issuers.values())

    @property
    def max_bytes(self) -> int:
        """Bytes of the longest token that some issuer's may have."""
        return max(issuer.settings.max_bytes for issuer in self._issuers.values())

    async def verify(self, token: str) -> Identity:
        """The user of a token. Raises the errors of :meth:`Issuer.verify`."""
        issuer = self._only or self._issuer(token)
        identity = await issuer.verify(token)
        owner = next((p for p in self._prefixes if identity.user.startswith(p)), None)
        if owner != issuer.settings.user_prefix:
            raise TokenInvalid("the token's user has a name that belongs to another issuer's users")
        return identity

    async def close(self) -> None:
        """End fetches of keys that are under way."""
        for issuer in self._issuers.values():
            await issuer.close()

    def _issuer(self, token: str) -> Issuer:
        """The issuer that the token names; whether it is true is for that issuer's keys to say."""
        if len(token) > self.max_bytes or not token.isascii():
            raise TokenInvalid(f"a token must be ASCII and at most {self.max_bytes} bytes long")
        try:
            name = read.unverified(token, 1).get("iss")
        except ValueError as error:
            raise TokenInvalid("this is not a JSON Web Token") from error
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise TokenInvalid(
                "the token's issuer (iss) is none of those that this gateway knows; it must be"
                " written exactly as in the configuration"
            )
        return issuer


def key_source(
    settings: Settings,
    *,
    clock: Monotonic,
    tasks: Tasks | None = None,
    table: str = "auth.jwt",
    before: KeySource | None = None,
) -> KeySource:
    """The configured kind of key source; call this inside the running loop. ``before``: that of the
    same issuer, which goes on as far as it has the same keys.

    Raises :class:`ConfigError`.
    """
    if settings.secret is not None:
        return OneKey(settings.secret.get_secret_value().encode(), "HS256")
    if settings.key_file is not None:
        return read_key_file(settings.key_file, settings.algorithms, where=f"{table}.key_file")
    jwks = Jwks(
        published_keys(settings, table=table),
        settings.algorithms,
        lifetime=settings.jwks_lifetime,
        cooldown=settings.jwks_cooldown,
        clock=clock,
        tasks=tasks,
        of=f"the issuer {settings.issuer} ({table})",
    )
    if isinstance(before, Jwks):
        jwks.go_on(before)
    return jwks


def published_keys(settings: Settings, *, table: str) -> HttpDocument | DiscoveredKeys:
    """The fetch of the issuer's keys; call this inside the running loop.

    Raises :class:`ConfigError`.
    """
    trusted = tls.for_issuer(settings.ca_file, where=f"{table}.ca_file")
    proxy = None
    if settings.proxy is not None:
        login = None
        if settings.proxy_user is not None and settings.proxy_password is not None:
            login = settings.proxy_user, settings.proxy_password.get_secret_value()
        proxy = ThroughProxy(settings.proxy, login=login)

    def document(url: str) -> HttpDocument:
        return HttpDocument(url, tls=trusted, through=proxy)

    if settings.discovery:
        return DiscoveredKeys(settings.issuer, document)
    assert settings.jwks_url is not None  # noqa: S101 - the configuration has exactly one of four
    return document(settings.jwks_url)


def tokens_for(
    config: Config, access: AccessRules, *, clock: Clock, tasks: Tasks, before: Tokens | None = None
) -> Tokens | None:
    """The checker of tokens for this configuration. Keys that ``before`` has fetched stay known.

    Raises :class:`ConfigError`.
    """
    known_roles = access.roles | {ADMIN, HOST, OBSERVER}
    known = {issuer.settings.issuer: issuer for issuer in before.issuers} if before else {}
    issuers = []
    for table, settings in config.auth.every_issuer:
        same = known.get(settings.issuer)
        keys = key_source(
            settings,
            clock=clock.monotonic,
            tasks=tasks.part(),
            table=table,
            before=same.keys if same is not None and _same_keys(same.settings, settings) else None,
        )
        issuers.append(
            Issuer(settings, keys, known_roles=known_roles, table=table, clock=clock.unix)
        )
    return Tokens(issuers) if issuers else None


def _same_keys(one: Settings, other: Settings) -> bool:
    """Whether both say that the same keys are taken from the same place."""

    def place(settings: Settings) -> object:
        return settings.issuer, settings.algorithms, settings.jwks_url, settings.discovery

    return place(one) == place(other)


def issue(
    settings: Settings, user: str, *, roles: frozenset[str], expires_at: float, now: float
) -> str:
    """Sign a token that this gateway accepts, for trying it out; times are seconds since the epoch.
    ``user`` and ``roles`` are written as the issuer would, without the prefix and before they are
    mapped.

    Raises :class:`ConfigError` unless tokens are signed with a shared secret, ``ValueError`` for a
    value that cannot name a user.
    """
    if settings.secret is None:
        raise ConfigError("auth.jwt: the gateway can sign tokens only with a shared secret (HS256)")
    claims: dict[str, Any] = {name: values[0] for name, values in settings.required.items()}
    claims |= {"iss": settings.issuer, "iat": int(now), "exp": int(expires_at)}
    if settings.audience:
        claims["aud"] = settings.audience[0]
    read.put(claims, settings.user_claim, account_name(user))
    read.put(claims, settings.roles_claim[0], sorted(roles))
    return jwt.encode(claims, settings.secret.get_secret_value(), algorithm="HS256")
