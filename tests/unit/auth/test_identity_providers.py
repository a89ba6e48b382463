"""Tokens and key sets in the form in which schools' identity providers issue them, with the
configurations of docs/how-to/tokens.md."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from gateway import config
from gateway.auth.documents import discovery_url, read_configuration
from gateway.auth.issuer import Issuer
from gateway.auth.jwks import Jwks
from gateway.domain.identity import Identity
from gateway.errors import TokenInvalid
from tests.fake_clock import FakeClock

DOCUMENT = Path(__file__).parents[3] / "docs" / "how-to" / "tokens.md"
SIGNING, OTHER = (rsa.generate_private_key(65537, 2048) for _ in range(2))
KNOWN_ROLES = frozenset({"admin", "host", "library"})


def configured(provider: str) -> config.Jwt:
    """The table that the documentation has for the provider, read as a gateway reads it."""
    section = DOCUMENT.read_text().split(f"\n### {provider}\n")[1].split("\n#")[0]
    (text,) = re.findall(r"```toml\n(.*?)```", section, flags=re.DOTALL)
    node = {"name": "r1", "web_stomp": "ws://127.0.0.1:15674/ws", "amqp": "amqp://127.0.0.1"}
    given = {
        "broker": {"user": "u", "password": "p", "nodes": [node]},
        "auth": {"secret": "a secret that is long enough to sign with"},
    }
    given["auth"] |= tomllib.loads(text)["auth"]
    ((_, settings),) = config.parse(given, source=provider).auth.every_issuer
    return settings


def public(key: rsa.RSAPrivateKey, kid: str, **more: Any) -> dict[str, Any]:
    numbers = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {"kty": "RSA", "kid": kid, "n": numbers["n"], "e": numbers["e"], **more}


#: A certificate that says nothing true: only the key itself counts.
CERTIFICATE = base64.b64encode(b"no certificate").decode()


@dataclass(frozen=True)
class Provider:
    """A service: what it publishes, and what it puts into a teacher's token."""

    name: str
    kid: str
    keys: list[dict[str, Any]]
    header: dict[str, Any]
    claims: dict[str, Any]
    teacher: tuple[str, frozenset[str], str | None]
    #: Changes that make the token one that is not for us, with what is told.
    foreign: dict[str, tuple[dict[str, Any], str]] = field(default_factory=dict)

    def token(self, **change: Any) -> str:
        now = int(time.time())
        claims = {"iat": now, "exp": now + 300, **self.claims, **change}
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(
            claims, SIGNING, algorithm="RS256", headers={"kid": self.kid, **self.header}
        )


KEYCLOAK = Provider(
    name="Keycloak",
    kid="Qm9sVgrh2x0Tn1WfPcXk3eYzA8uJd5LoRi7bHs6tMwE",
    keys=[
        # Keycloak publishes the key of its encryption beside that of its signatures, often first.
        public(OTHER, "gR2p", use="enc", alg="RSA-OAEP", x5c=[CERTIFICATE], x5t="aa"),
        public(
            SIGNING,
            "Qm9sVgrh2x0Tn1WfPcXk3eYzA8uJd5LoRi7bHs6tMwE",
            use="sig",
            alg="RS256",
            x5c=[CERTIFICATE],
            x5t="bb",
            **{"x5t#S256": "cc"},
        ),
    ],
    header={"typ": "JWT"},
    claims={
        "auth_time": 1,
        "jti": "onrtac:9f0e6c1d-7a54-4b0e-8a0f-3f3b6a1e2d4c",
        "iss": "https://sso.school.example/realms/school",
        "aud": ["interact", "account"],
        "sub": "0c9a4e5b-6d7f-4a81-92b3-c4d5e6f70819",
        "typ": "Bearer",
        "azp": "interact",
        "sid": "f2b1d0c9-8a7e-46f5-b4c3-d2e1f0a9b8c7",
        "acr": "1",
        "allowed-origins": ["https://school.example"],
        "realm_access": {
            "roles": ["default-roles-school", "offline_access", "uma_authorization", "teacher"]
        },
        "resource_access": {
            "interact": {"roles": ["interact-admin"]},
            "account": {"roles": ["manage-account", "view-profile"]},
        },
        "scope": "openid profile email",
        "email_verified": True,
        "name": "Ji-won Park",
        "preferred_username": "park",
        "given_name": "Ji-won",
        "family_name": "Park",
        "email": "park@school.example",
    },
    teacher=("park", frozenset({"host", "admin"}), "Ji-won Park"),
    foreign={
        "another client": ({"aud": "account"}, 'audience is "account"'),
        "another realm": ({"iss": "https://sso.school.example/realms/master"}, "issuer is"),
    },
)

ENTRA = Provider(
    name="Microsoft Entra ID (Azure AD)",
    kid="nOo3ZDrODXEK1jKWhXslHR_KXEg",
    keys=[
        # No "alg", and members that RFC 7517 does not know.
        public(
            OTHER,
            "2ZQpJ3UpbjAYXYGaXEJl8lV0TOI",
            use="sig",
            x5t="2ZQpJ3UpbjAYXYGaXEJl8lV0TOI",
            x5c=[CERTIFICATE],
            cloud_instance_name="microsoftonline.com",
            issuer="https://login.microsoftonline.com/8f4e1c6a-0d3b-4c5e-9a7f-2b1d6e8c9f01/v2.0",
        ),
        public(
            SIGNING,
            "nOo3ZDrODXEK1jKWhXslHR_KXEg",
            use="sig",
            x5t="nOo3ZDrODXEK1jKWhXslHR_KXEg",
            x5c=[CERTIFICATE],
            cloud_instance_name="microsoftonline.com",
            issuer="https://login.microsoftonline.com/8f4e1c6a-0d3b-4c5e-9a7f-2b1d6e8c9f01/v2.0",
        ),
    ],
    header={"typ": "JWT", "x5t": "nOo3ZDrODXEK1jKWhXslHR_KXEg"},
    claims={
        "aud": "5c2d9e7b-1a4f-4e8d-b3c6-7f0a9d2e4b85",
        "iss": "https://login.microsoftonline.com/8f4e1c6a-0d3b-4c5e-9a7f-2b1d6e8c9f01/v2.0",
        "nbf": 1_700_000_000,
        "aio": "AXQAi/8WAAAA",
        "azp": "b1f3a7c2-9d4e-4c60-8a5b-0e7d6f2c1a93",
        "azpacr": "0",
        "name": "Ji-won Park",
        "oid": "3e9b7a50-2c4d-4f1e-8b6a-9d0c5e7f1a24",
        "preferred_username": "park@school.example",
        "rh": "0.AXoAahxO",
        "roles": ["Interact.Host"],
        "scp": "access_as_user",
        "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
        "tid": "8f4e1c6a-0d3b-4c5e-9a7f-2b1d6e8c9f01",
        "uti": "fqiBqXLPj0eQa82S-IYFAA",
        "ver": "2.0",
    },
    teacher=("3e9b7a50-2c4d-4f1e-8b6a-9d0c5e7f1a24", frozenset({"host"}), "Ji-won Park"),
    foreign={
        "another tenant": (
            {"iss": "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"},
            "issuer is",
        ),
        "version 1": (
            {"iss": "https://sts.windows.net/8f4e1c6a-0d3b-4c5e-9a7f-2b1d6e8c9f01/"},
            "issuer is",
        ),
        "another application": ({"aud": "00000003-0000-0000-c000-000000000000"}, "audience is"),
    },
)

AUTH0 = Provider(
    name="Auth0",
    kid="Zk4zqLw2bXn8Vt0Rj5Yd1",
    keys=[
        public(SIGNING, "Zk4zqLw2bXn8Vt0Rj5Yd1", use="sig", alg="RS256", x5c=[CERTIFICATE]),
        public(OTHER, "Hc7mPs3fKe9Gu6Aa2Wq4x", use="sig", alg="RS256", x5c=[CERTIFICATE]),
    ],
    header={"typ": "JWT"},
    claims={
        "https://school.example/roles": ["Teacher", "Editor"],
        "https://school.example/name": "Ji-won Park",
        "iss": "https://school.eu.auth0.com/",
        "sub": "auth0|65f1c0de8a7b9c0d1e2f3a4b",
        "aud": ["https://interact.school.example", "https://school.eu.auth0.com/userinfo"],
        "scope": "openid profile",
        "azp": "mB8sT2vXq4LzN6rP0dW1yKjG5hF7cA3u",
        "permissions": [],
    },
    teacher=("auth0|65f1c0de8a7b9c0d1e2f3a4b", frozenset({"host"}), "Ji-won Park"),
    foreign={
        "for its own profile": ({"aud": "https://school.eu.auth0.com/userinfo"}, "audience is"),
        "without the slash": ({"iss": "https://school.eu.auth0.com"}, "issuer is"),
    },
)

COGNITO = Provider(
    name="Amazon Cognito",
    kid="mN5Qe0cRkVvGvz3uX1sY8a7bT2dL4fHjK6pW9oIiEwU=",
    keys=[
        public(OTHER, "b2Zk1xQyRt8vN0aLcS5dE7gJ3hM6pWfUu4iOoKkYyTs=", use="sig", alg="RS256"),
        public(SIGNING, "mN5Qe0cRkVvGvz3uX1sY8a7bT2dL4fHjK6pW9oIiEwU=", use="sig", alg="RS256"),
    ],
    header={"typ": None},
    claims={
        "sub": "c3d48842-50a1-70b5-1f2e-9a8b7c6d5e4f",
        "cognito:groups": ["teachers"],
        "iss": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_aBcDeFgHi",
        "version": 2,
        "client_id": "4h57k3m9q2r8s1t6u0v5w7x9yz",
        "origin_jti": "4d1c0b9a-8f7e-46d5-a4b3-c2d1e0f9a8b7",
        "event_id": "7e6d5c4b-3a29-4187-96f5-e4d3c2b1a098",
        "token_use": "access",
        "scope": "openid profile",
        "auth_time": 1_700_000_000,
        "jti": "5a4b3c2d-1e0f-49a8-b7c6-d5e4f3a2b1c0",
        "username": "park",
    },
    teacher=("park", frozenset({"host"}), None),
    foreign={
        "another client": ({"client_id": "x"}, "'client_id' is \"x\", this gateway expects"),
        "no client": ({"client_id": None}, "'client_id' is null"),
        "an ID token": (
            {"aud": "4h57k3m9q2r8s1t6u0v5w7x9yz", "token_use": "id", "client_id": None},
            "audience is",
        ),
        "an access token for another service": (
            {"aud": "https://elsewhere"},
            "a token without one",
        ),
        "another use": ({"token_use": "id"}, "'token_use' is \"id\""),
    },
)

GOOGLE = Provider(
    name="Google",
    kid="6f7254101f56e41cf35c9926de84a2d552b4c6f1",
    keys=[
        public(SIGNING, "6f7254101f56e41cf35c9926de84a2d552b4c6f1", use="sig", alg="RS256"),
        public(OTHER, "b2dff78a0b9d1c5f2e4a6c8e0d1f3a5b7c9e1f20", use="sig", alg="RS256"),
    ],
    header={"typ": "JWT"},
    claims={
        "iss": "https://accounts.google.com",
        "azp": "407408718192-interact.apps.googleusercontent.com",
        "aud": "407408718192-interact.apps.googleusercontent.com",
        "sub": "110169484474386276334",
        "hd": "school.example",
        "email": "park@school.example",
        "email_verified": True,
        "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q",
        "nonce": "0394852-3190485-2490358",
        "name": "Ji-won Park",
        "picture": "https://images.example/photo.jpg",
        "given_name": "Ji-won",
        "family_name": "Park",
    },
    teacher=("110169484474386276334", frozenset({"host"}), "Ji-won Park"),
    foreign={
        "a private account": ({"hd": None}, "'hd' is null, this gateway expects"),
        "another school": ({"hd": "other.example"}, "'hd' is \"other.example\""),
        "an address that is not verified": ({"email_verified": False}, "'email_verified' is false"),
        "a word for true": ({"email_verified": "true"}, "'email_verified' is \"true\""),
        "a number for true": ({"email_verified": 1}, "'email_verified' is 1"),
    },
)

PROVIDERS = (KEYCLOAK, ENTRA, AUTH0, COGNITO, GOOGLE)
by_name = pytest.mark.parametrize("provider", PROVIDERS, ids=lambda each: each.name.split()[0])


def verify(provider: Provider, token: str) -> Identity:
    settings = configured(provider.name)

    async def fetch() -> bytes:
        return json.dumps({"keys": provider.keys}).encode()

    async def run() -> Identity:
        keys = Jwks(fetch, settings.algorithms, lifetime=60, cooldown=30, clock=FakeClock())
        issuer = Issuer(settings, keys, known_roles=KNOWN_ROLES)
        try:
            return await issuer.verify(token)
        finally:
            await issuer.close()

    return asyncio.run(run())


#: A pupil's claims, where they are more than no claim with roles.
WITHOUT_ROLES: dict[str, dict[str, Any]] = {
    "Keycloak": {"realm_access": {"roles": ["offline_access"]}, "resource_access": None},
    "Google": {"email": "kim@school.example"},
}
ROLE_CLAIMS = ("roles", "https://school.example/roles", "cognito:groups")


@by_name
def test_a_teacher_comes_with_name_and_roles(provider: Provider) -> None:
    found = verify(provider, provider.token())
    assert (found.user, found.roles, found.display_name) == provider.teacher


@by_name
def test_a_pupil_comes_without_roles_and_the_log_says_once_why(
    provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    none = WITHOUT_ROLES.get(provider.name, dict.fromkeys(ROLE_CLAIMS))
    assert verify(provider, provider.token(**none)).roles == frozenset()
    (record,) = caplog.records
    assert configured(provider.name).issuer in record.getMessage()


@pytest.mark.parametrize(
    ("provider", "foreign"),
    [(provider, foreign) for provider in PROVIDERS for foreign in provider.foreign],
    ids=lambda each: each if isinstance(each, str) else each.name.split()[0],
)
def test_a_token_that_is_not_for_us_is_refused(provider: Provider, foreign: str) -> None:
    change, told = provider.foreign[foreign]
    with pytest.raises(TokenInvalid) as caught:
        verify(provider, provider.token(**change))
    assert told in caught.value.detail


@by_name
def test_a_key_that_is_not_for_signing_or_not_the_named_one_signs_nothing(
    provider: Provider,
) -> None:
    (other,) = (entry["kid"] for entry in provider.keys if entry["kid"] != provider.kid)
    claims = jwt.decode(provider.token(), options={"verify_signature": False})
    for key, kid in ((OTHER, provider.kid), (SIGNING, other)):
        forged = jwt.encode(claims, key, algorithm="RS256", headers={"kid": kid})
        with pytest.raises(TokenInvalid):
            verify(provider, forged)


@by_name
def test_a_provider_says_where_its_keys_are(provider: Provider) -> None:
    issuer = configured(provider.name).issuer
    assert "//.well-known" not in discovery_url(issuer)
    document = {"issuer": issuer, "jwks_uri": "https://keys.example/jwks", "claims_supported": []}
    assert read_configuration(json.dumps(document).encode(), issuer) == "https://keys.example/jwks"
