"""Tokens of the trusted issuer, and everything that only looks like one."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import SecretStr

from gateway.auth.issuer import LAST_SECOND, Issuer
from gateway.auth.jwks import Jwks
from gateway.auth.keys import KeySource, OneKey
from gateway.auth.tokens import issue, key_source
from gateway.config import ConfigError
from gateway.config import Jwt as Settings
from gateway.domain.identity import Identity
from gateway.domain.revocation import TokenMark
from gateway.errors import TokenExpired, TokenInvalid, Unavailable
from tests.fake_clock import FakeClock

SECRET = "k" * 32
KNOWN_ROLES = frozenset({"admin", "host", "service"})
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())


def settings(**more: Any) -> Settings:
    given = {"algorithms": ("HS256",), "secret": SecretStr(SECRET), "issuer": "https://issuer"}
    return Settings(**{**given, "audience": "interact", **more})


def claims(**change: Any) -> dict[str, Any]:
    """Good ones, with a change; a claim changed to None is left out."""
    good = {"iss": "https://issuer", "aud": "interact", "sub": "김하나", "exp": time.time() + 60}
    return {name: value for name, value in {**good, **change}.items() if value is not None}


def token(key: Any = SECRET, algorithm: str = "HS256", **change: Any) -> str:
    return jwt.encode(claims(**change), key, algorithm=algorithm)


def verify(text: str, given: Settings | None = None, keys: KeySource | None = None) -> Identity:
    given = given or settings()
    keys = keys or key_source(given, clock=FakeClock())

    async def run(tokens: Issuer) -> Identity:
        try:
            return await tokens.verify(text)
        finally:
            await tokens.close()

    return asyncio.run(run(Issuer(given, keys, known_roles=KNOWN_ROLES)))


def refusal(text: str, given: Settings | None = None, keys: KeySource | None = None) -> str:
    with pytest.raises(TokenInvalid) as caught:
        verify(text, given, keys)
    detail = caught.value.detail
    assert len(text) < 20 or text[-20:] not in detail
    return detail


def test_a_good_token_says_who_which_roles_and_until_when() -> None:
    end = int(time.time()) + 60
    found = verify(token(exp=end, roles=["host", "offline_access", "HOST"]))
    assert found == Identity("김하나", frozenset({"host"}), end)


def test_a_token_without_roles_gives_none() -> None:
    assert verify(token()).roles == frozenset()


@pytest.mark.parametrize("iat", [32_503_680_000, 10**400, -1, "soon", None, [], True])
def test_when_it_was_issued_alone_refuses_no_token(iat: object) -> None:
    assert verify(token_of({**claims(), "iat": iat})).user == "김하나"


def test_a_token_can_be_revoked_by_its_claims_and_no_other_issuer_s_by_the_same() -> None:
    now = int(time.time())
    found = verify(token(jti="one", iat=now), settings(leeway=5, user_prefix="school:"))
    assert found.token == TokenMark("school:one", "school:김하나", now - 5)
    for iat in (now + 3600, 10**400, -5, None):
        content = {**claims(), "iat": iat}
        assert verify(token_of(content)).token == TokenMark(None, "김하나", 0.0)
    content = claims(sub=None, email="kim@school.example")
    found = verify(token_of(content), settings(user_claim=["email"]))
    assert found.token == TokenMark(None, "kim@school.example", 0.0)


def test_roles_may_be_a_string_with_spaces_as_scopes_are() -> None:
    given = settings(roles_claim="scope")
    assert verify(token(scope="openid host  service"), given).roles == {"host", "service"}
    assert verify(token(scope="hosts"), given).roles == frozenset()
    assert verify(token(scope=""), given).roles == frozenset()


def test_a_claim_may_be_within_others() -> None:
    content = claims(sub=None, realm_access={"roles": ["host"]}, person={"login": "kim"})
    given = settings(roles_claim="realm_access.roles", user_claim="person.login")
    found = verify(token_of(content), given)
    assert (found.user, found.roles) == ("kim", frozenset({"host"}))
    nothing: dict[str, str] = {}
    for person in ("kim", nothing, ["login"], None):
        text = token_of({**content, "person": person})
        assert refusal(text, given) == "the token has no 'login' in 'person', which is required"
    for access in (nothing, ["roles"], None):
        text = token_of({**content, "realm_access": access})
        assert verify(text, given).roles == frozenset()


def test_a_name_with_dots_or_a_url_is_one_name() -> None:
    content = claims(
        resource_access={"my.client": {"roles": ["host"]}, "my": {"client": {"roles": ["admin"]}}},
        **{"https://issuer.example/roles": ["service"], "a.b": ["admin"]},
    )
    for roles_claim, roles in (
        ("https://issuer.example/roles", {"service"}),
        (["resource_access", "my.client", "roles"], {"host"}),
        ("resource_access.my.client.roles", {"admin"}),
        (["a.b"], {"admin"}),
        ("a.b", set()),
        ([["a.b"], ["resource_access", "my.client", "roles"]], {"admin", "host"}),
        ([["nothing"], ["https://issuer.example/roles"]], {"service"}),
    ):
        assert verify(token_of(content), settings(roles_claim=roles_claim)).roles == roles


def test_roles_are_mapped_and_then_only_those_that_are_named_count() -> None:
    given = settings(roles={"teacher": ("host", "service"), "head": ("admin",), "x": ("unknown",)})
    assert verify(token(roles=["teacher", "host"]), given).roles == {"host", "service"}
    assert verify(token(roles=["head", "teacher"]), given).roles == {"admin", "host", "service"}
    assert verify(token(roles=["admin", "Teacher", "x"]), given).roles == frozenset()


def test_a_prefix_comes_before_the_name_and_makes_no_name_of_nothing() -> None:
    given = settings(user_prefix="school:")
    assert verify(token(sub="kim"), given).user == "school:kim"
    assert "non-empty string" in refusal(token_of(claims(sub="")), given)
    assert "at most 200 characters" in refusal(token(sub="u" * 199), given)
    assert "no space around" in refusal(token(sub=" kim"), given)


def test_the_audience_may_be_any_of_the_configured_ones() -> None:
    given = settings(audience=("interact", "interact-test"))
    for audience in ("interact", "interact-test", ["other", "interact-test"]):
        assert verify(token(aud=audience), given).user == "김하나"
    told = 'audience is "other", this gateway expects "interact" or "interact-test"'
    assert told in refusal(token(aud="other"), given)


def test_without_an_audience_a_required_claim_must_match_and_no_other_audience_is_there() -> None:
    given = settings(audience=(), required={"client_id": ("a", "b"), "verified": (True,)})
    good = claims(aud=None, client_id="b", verified=True)
    assert verify(token_of(good), given).user == "김하나"
    assert verify(token_of({**good, "client_id": ["x", "a"]}), given).user == "김하나"
    for change, told in (
        ({"client_id": "c"}, """'client_id' is "c", this gateway expects "a" or "b\""""),
        ({"client_id": None}, "'client_id' is null"),
        ({"client_id": {"a": 1}}, "'client_id' is {"),
        ({"client_id": "x" * 5000}, "'client_id' is"),
        ({"verified": "true"}, "'verified' is \"true\", this gateway expects true"),
        ({"verified": 1}, "'verified' is 1"),
        ({"aud": "interact"}, "expects a token without one"),
    ):
        detail = refusal(token_of({**good, **change}), given)
        assert told in detail
        assert len(detail) < 300


def test_the_claims_for_user_and_roles_are_configurable() -> None:
    given = settings(user_claim="email", roles_claim="https://issuer/roles")
    content = claims(email="kim@school.kr", **{"https://issuer/roles": ["admin"]})
    found = verify(token_of(content), given)
    assert found.user == "kim@school.kr"
    assert found.roles == {"admin"}


def test_a_display_name_comes_from_the_configured_claim_and_is_never_the_users_name() -> None:
    given = settings(name_claim="name")
    found = verify(token(name="  Kim\tHa-na "), given)
    assert (found.user, found.display_name) == ("김하나", "Kim Ha-na")
    assert verify(token(name="Kim")).display_name is None


@pytest.mark.parametrize("name", [None, 5, ["Kim"], "", "x" * 101, "evil\u202eemos"])
def test_a_display_name_that_cannot_be_shown_is_left_out(name: object) -> None:
    text = token_of({**claims(), "name": name})
    assert verify(text, settings(name_claim="name")).display_name is None


def test_the_audience_may_be_one_of_several() -> None:
    assert verify(token(aud=["other", "interact"])).user == "김하나"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"aud": "other"}, 'the token\'s audience is "other", this gateway expects "interact"'),
        ({"aud": ["a", "b"]}, 'audience is ["a", "b"], this gateway expects "interact"'),
        ({"aud": {"interact": 1}}, "audience is"),
        ({"aud": "x" * 5000}, "audience is"),
        ({"aud": None}, "the token has no 'aud'"),
        ({"aud": ""}, "the token has no 'aud'"),
        ({"iss": "evil"}, 'issuer is "evil", this gateway expects "https://issuer"'),
        ({"iss": "https://issuer/"}, "issuer is"),
        ({"iss": None}, "the token has no 'iss'"),
        ({"exp": None}, "the token has no 'exp'"),
        ({"exp": "soon"}, "malformed"),
        ({"exp": []}, "malformed"),
        ({"sub": None}, "the token has no 'sub'"),
        ({"sub": ""}, "'sub': a user name must be a non-empty string"),
        ({"sub": 42}, "malformed"),
        ({"sub": "a\0b"}, "'sub': a user name must have printable characters only"),
        ({"sub": "a\r\nb"}, "'sub': a user name must have printable"),
        ({"sub": "u" * 201}, "'sub': a user name must have at most 200 characters"),
        ({"roles": 5}, "'roles' must be a list of strings"),
        ({"roles": {"admin": True}}, "'roles' must be a list of strings"),
        ({"roles": ["admin", 1]}, "'roles' must be a list of strings"),
        ({"nbf": 32_503_680_000}, "not valid yet"),
        ({"nbf": "x"}, "malformed"),
        ({"jti": 5}, "malformed"),
    ],
)
def test_a_claim_that_is_wrong_is_named(change: dict[str, Any], text: str) -> None:
    detail = refusal(token_of(claims(**change)))
    assert text in detail
    assert len(detail) < 300


def token_of(content: dict[str, Any]) -> str:
    """Signed as it is: PyJWT itself refuses to encode some of the wrong claims."""
    return jwt.api_jws.encode(json.dumps(content).encode(), SECRET, algorithm="HS256")


def test_a_token_may_have_exactly_the_bytes_that_are_allowed() -> None:
    content = json.dumps(claims()).encode()
    text = jwt.api_jws.encode(content, SECRET, algorithm="HS256")
    while len(text) < settings().max_bytes:
        # Three bytes more of content are four more of base64.
        content += b" " * max(1, (settings().max_bytes - len(text)) * 3 // 4)
        text = jwt.api_jws.encode(content, SECRET, algorithm="HS256")
    assert len(text) == settings().max_bytes
    assert verify(text).user == "김하나"


@pytest.mark.parametrize("exp", ["1e400", "-1e400", "NaN"])
def test_an_end_that_is_no_time_is_refused(exp: str) -> None:
    content = json.dumps(claims(exp=0)).replace('"exp": 0', f'"exp": {exp}')
    text = jwt.api_jws.encode(content.encode(), SECRET, algorithm="HS256")
    assert "malformed" in refusal(text)


@pytest.mark.parametrize("exp", [10**15, 1e300, 10**400])
def test_an_end_beyond_all_dates_is_the_last_date(exp: float) -> None:
    assert verify(token(exp=exp)).expires_at == LAST_SECOND


def test_an_expired_token_is_told_from_an_invalid_one() -> None:
    with pytest.raises(TokenExpired, match="has expired"):
        verify(token(exp=time.time() - 6))


def test_the_leeway_is_for_the_difference_of_the_clocks() -> None:
    now = time.time()
    verify(token(exp=now - 50, nbf=now + 50), settings(leeway=60))
    with pytest.raises(TokenExpired):
        verify(token(exp=now - 1), settings(leeway=0))
    assert "not valid yet" in refusal(token(nbf=now + 30), settings(leeway=0))


def test_another_secret_is_refused() -> None:
    assert "signature" in refusal(token("x" * 32))


def test_a_changed_token_is_refused() -> None:
    head, _, signature = token().split(".")
    body = base64.urlsafe_b64encode(json.dumps(claims(sub="admin")).encode()).decode().rstrip("=")
    assert "signature" in refusal(f"{head}.{body}.{signature}")


def test_an_unsigned_token_is_refused() -> None:
    assert refusal(token("", "none")) == "a token must be signed by HS256"


def test_the_algorithm_is_the_configurations_and_never_the_tokens() -> None:
    assert refusal(token("k" * 64, "HS512")) == "a token must be signed by HS256"
    public = OneKey(RSA.public_key(), "RS256")
    given = settings(algorithms=("RS256",), secret=None, key_file=Path("unused"))
    assert verify(token(RSA, "RS256"), given, public).user == "김하나"
    pem = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    forged = jwt.api_jws.encode(
        json.dumps(claims()).encode(), base64.b64encode(pem), algorithm="HS256"
    )
    assert refusal(forged, given, public) == "a token must be signed by RS256"


def raw(header: object, body: object = "{}") -> str:
    parts = (part if isinstance(part, str) else json.dumps(part) for part in (header, body))
    return ".".join(
        [base64.urlsafe_b64encode(p.encode()).decode().rstrip("=") for p in parts] + ["c2ln"]
    )


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("", "not a JSON Web Token"),
        ("abc", "not a JSON Web Token"),
        ("a.b", "not a JSON Web Token"),
        ("a.b.c", "not a JSON Web Token"),
        (raw([]), "not a JSON Web Token"),
        (raw({"alg": "HS256", "kid": 5}), "not a JSON Web Token"),
        (raw("[" * 3000), "not a JSON Web Token"),
        (raw({}), "signed by HS256"),
        (raw({"alg": None}), "signed by HS256"),
        (raw({"alg": ["HS256"]}), "signed by HS256"),
        (raw({"alg": "hs256"}), "signed by HS256"),
        (raw({"alg": "HS256", "crit": ["exp"]}), "not a JSON Web Token"),
        (raw({"alg": "HS256", "b64": False}), "not a JSON Web Token"),
        ("é.b.c", "ASCII"),
        ("\ud800", "ASCII"),
        ("a" * (settings().max_bytes + 1), "at most 16384 bytes long"),
    ],
)
def test_a_text_that_only_looks_like_a_token_is_refused(text: str, detail: str) -> None:
    assert detail in refusal(text)


def test_a_signed_body_that_is_no_object_is_refused() -> None:
    for body in (b"[]", b"no json", b"[" * 3000):
        text = jwt.api_jws.encode(body, SECRET, algorithm="HS256")
        assert refusal(text) == "the token is malformed"


class NoKeys:
    """A key source that is not available."""

    algorithms = ("RS256",)

    async def key(self, algorithm: str, kid: str | None) -> bytes:
        raise Unavailable(f"{algorithm} {kid}", retry_after=3.0)

    async def close(self) -> None:
        """Nothing to end."""


def test_keys_that_are_out_of_reach_are_no_fault_of_the_token() -> None:
    text = jwt.encode(claims(), RSA, algorithm="RS256", headers={"kid": "a"})
    with pytest.raises(Unavailable, match="RS256 a"):
        verify(text, keys=NoKeys())


def test_the_key_file_is_read_and_its_key_checks(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    public = EC.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    path.write_bytes(public)
    given = settings(algorithms=("RS256", "ES256"), secret=None, key_file=path)
    assert verify(token(EC, "ES256"), given).user == "김하나"
    assert refusal(token(RSA, "RS256"), given) == "a token must be signed by ES256"
    other = ec.generate_private_key(ec.SECP256R1())
    assert "signature" in refusal(token(other, "ES256"), given)


def test_a_key_set_is_fetched_with_the_configured_times() -> None:
    async def run() -> KeySource:
        given = settings(
            algorithms=("RS256",), secret=None, jwks_url="http://127.0.0.1:9/jwks", jwks_cooldown=7
        )
        return key_source(given, clock=FakeClock())

    source = asyncio.run(run())
    assert isinstance(source, Jwks)
    assert source.algorithms == ("RS256",)
    assert (source._lifetime, source._cooldown) == (3600, 7)


def test_an_issued_token_is_accepted() -> None:
    now = time.time()
    given = settings(user_claim="name", roles_claim="groups")
    text = issue(given, "kim", roles=frozenset({"host"}), expires_at=now + 60, now=now)
    assert verify(text, given) == Identity("kim", frozenset({"host"}), int(now + 60))


def test_only_a_shared_secret_can_issue() -> None:
    given = settings(algorithms=("RS256",), secret=None, key_file=Path("unused"))
    with pytest.raises(ConfigError, match="HS256"):
        issue(given, "kim", roles=frozenset(), expires_at=0, now=0)
    with pytest.raises(ValueError, match="printable"):
        issue(settings(), "a\n", roles=frozenset(), expires_at=0, now=0)


def test_a_header_that_is_known_makes_no_token_true() -> None:
    given = settings()
    good = token()
    header, payload, _ = good.split(".")

    async def run() -> None:
        tokens = Issuer(given, key_source(given, clock=FakeClock()), known_roles=KNOWN_ROLES)
        await tokens.verify(good)
        for text in (header, f"{header}.{payload}", f"{header}.{payload}.AAAA", token("x" * 32)):
            with pytest.raises(TokenInvalid):
                await tokens.verify(text)
        with pytest.raises(TokenExpired):
            await tokens.verify(token(exp=time.time() - 60))

    asyncio.run(run())
