"""What somebody may try with tokens and key sets (RFC 8725), against an issuer with public keys."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any, get_args

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from gateway.auth.documents import KeySetUnavailable
from gateway.auth.issuer import Issuer
from gateway.auth.jwks import Jwks, read_key_set
from gateway.auth.keys import algorithms_of
from gateway.config import ALGORITHMS, Jwt
from gateway.domain.identity import Identity
from gateway.errors import TokenExpired, TokenInvalid
from tests.fake_clock import FakeClock

RSA, FORGER = (rsa.generate_private_key(65537, 2048) for _ in range(2))
PRIVATE: dict[str, Any] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), RSA),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    "ES256K": ec.generate_private_key(ec.SECP256K1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
EVERY = tuple(PRIVATE)


def jwk(key: Any, kid: str | None = "k", **more: Any) -> dict[str, Any]:
    """The published form of a private key's public part."""
    public = key.public_key()
    for kind in (RSAAlgorithm, ECAlgorithm, OKPAlgorithm):
        try:
            form = json.loads(kind.to_jwk(public))
        except (jwt.InvalidKeyError, AttributeError):
            continue
        form.pop("key_ops", None)
        return {**form, **({} if kid is None else {"kid": kid}), **more}
    raise AssertionError(key)


def claims(**change: Any) -> dict[str, Any]:
    good = {"iss": "https://issuer", "aud": "interact", "sub": "kim", "exp": time.time() + 60}
    return {**good, **change}


class Published:
    """An issuer's document, and how often it was asked for."""

    def __init__(self, *keys: Any) -> None:
        self.keys = keys
        self.asked = 0

    async def __call__(self) -> bytes:
        self.asked += 1
        return json.dumps({"keys": self.keys}).encode()


def verify(text: str, published: Published, algorithms: tuple[str, ...] = EVERY) -> Identity:
    settings = Jwt.model_validate(
        {
            "algorithms": algorithms,
            "jwks_url": "https://issuer/jwks",
            "issuer": "https://issuer",
            "audience": "interact",
        }
    )

    async def run() -> Identity:
        keys = Jwks(published, settings.algorithms, lifetime=60, cooldown=30, clock=FakeClock())
        issuer = Issuer(settings, keys, known_roles=frozenset())
        try:
            return await issuer.verify(text)
        finally:
            await issuer.close()

    return asyncio.run(run())


def refused(text: str, published: Published, algorithms: tuple[str, ...] = EVERY) -> str:
    with pytest.raises(TokenInvalid) as caught:
        verify(text, published, algorithms)
    return caught.value.detail


def segment(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def signed(header: object, payload: object, key: Any = RSA) -> str:
    """A token whose header and claims are written as they are given."""
    content = f"{segment(header)}.{segment(payload)}"
    signature = RSAAlgorithm(RSAAlgorithm.SHA256).sign(content.encode(), key)
    return f"{content}.{segment(signature)}"


# Algorithms and keys


def test_every_algorithm_that_pyjwt_has_for_public_keys_can_be_configured() -> None:
    ours = set(get_args(ALGORITHMS)) - {"HS256"}
    # An older name of ES512.
    assert ours == jwt.algorithms.requires_cryptography - {"ES521"}
    assert ours == set(PRIVATE)


@pytest.mark.parametrize("algorithm", EVERY)
@pytest.mark.parametrize("says_alg", [True, False])
def test_a_token_of_each_algorithm_is_taken_with_its_key(algorithm: str, says_alg: bool) -> None:
    key = PRIVATE[algorithm]
    text = jwt.encode(claims(), key, algorithm=algorithm, headers={"kid": "k"})
    published = Published(jwk(key, **({"alg": algorithm} if says_alg else {})))
    assert verify(text, published).user == "kim"
    assert verify(text, published, (algorithm,)).user == "kim"


def test_both_curves_of_eddsa_are_taken() -> None:
    key = ed448.Ed448PrivateKey.generate()
    text = jwt.encode(claims(), key, algorithm="EdDSA", headers={"kid": "k"})
    assert verify(text, Published(jwk(key))).user == "kim"


@pytest.mark.parametrize("algorithm", EVERY)
@pytest.mark.parametrize("other", EVERY)
def test_a_key_serves_no_algorithm_that_it_does_not_fit(algorithm: str, other: str) -> None:
    public = PRIVATE[algorithm].public_key()
    same_kind = PRIVATE[other] is PRIVATE[algorithm]
    assert (other in algorithms_of(public)) is same_kind
    if other == algorithm:
        return
    # The key says that it is for one algorithm, the token uses another.
    text = jwt.encode(claims(), PRIVATE[other], algorithm=other, headers={"kid": "k"})
    published = Published(jwk(PRIVATE[algorithm], alg=algorithm), jwk(FORGER, "other"))
    assert "does not publish" in refused(text, published)


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 1024),  # noqa: S505 - it is refused
        ec.generate_private_key(ec.SECP224R1()),
        ec.generate_private_key(ec.BrainpoolP256R1()),
    ],
)
def test_a_weak_key_or_an_unknown_curve_fits_nothing(key: Any) -> None:
    assert algorithms_of(key.public_key()) == ()
    assert algorithms_of(key) == ()
    assert algorithms_of(b"bytes") == ()


def test_an_algorithm_that_is_not_configured_is_refused_whatever_the_keys_are() -> None:
    text = jwt.encode(claims(), RSA, algorithm="PS256", headers={"kid": "k"})
    assert refused(text, Published(jwk(RSA)), ("RS256", "ES256")) == (
        "a token must be signed by RS256 or ES256"
    )


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512", "none", "None", "nOnE", "", None])
def test_a_public_key_is_no_shared_secret_and_no_signature_is_none(algorithm: object) -> None:
    public = RSA.public_key()
    for secret in (
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(jwk(RSA)).encode(),
        b"",
    ):
        content = f"{segment({'alg': algorithm, 'kid': 'k'})}.{segment(claims())}"
        mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
        for signature in (segment(mac.sign(content.encode(), secret)), ""):
            assert "must be signed by" in refused(f"{content}.{signature}", Published(jwk(RSA)))


# Headers


@pytest.mark.parametrize(
    "header",
    [
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://evil.example/chain.pem"},
        {"x5c": ["MIIB"]},
        {"jwk": jwk(FORGER)},
        {"x5t": "k", "x5t#S256": "k"},
        {"typ": "at+jwt", "cty": "JWT", "url": "https://evil.example", "unknown": [1]},
    ],
)
def test_a_key_that_the_token_brings_or_points_to_counts_for_nothing(
    header: dict[str, Any],
) -> None:
    published = Published(jwk(RSA))
    forged = signed({"alg": "RS256", "kid": "k", **header}, claims(), FORGER)
    assert "signature is not its issuer's" in refused(forged, published)
    true = signed({"alg": "RS256", "kid": "k", **header}, claims())
    assert verify(true, published).user == "kim"
    assert published.asked == 2


@pytest.mark.parametrize(
    "kid",
    [
        "../../../../dev/null",
        "/etc/passwd",
        "k' UNION SELECT 'secret",
        "k\0",
        "k\r\nX: y",
        "https://evil.example/key",
        "",
        " k",
        "K",
        "\ud800",
        "x" * 10_000,
    ],
)
def test_a_key_id_is_compared_and_nothing_else(kid: str) -> None:
    text = signed({"alg": "RS256", "kid": kid}, claims())
    assert "does not publish" in refused(text, Published(jwk(RSA), jwk(FORGER, "other")))


@pytest.mark.parametrize("kid", [5, ["k"], {"k": 1}, True, None])
def test_a_key_id_is_a_string(kid: object) -> None:
    text = signed({"alg": "RS256", "kid": kid}, claims())
    assert "not a JSON Web Token" in refused(text, Published(jwk(RSA)))


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": ["b64"], "b64": False},
        {"crit": []},
        {"crit": "b64"},
        {"crit": None},
        {"b64": False},
    ],
)
def test_a_header_that_must_be_understood_is_not(header: dict[str, Any]) -> None:
    text = signed({"alg": "RS256", "kid": "k", **header}, claims())
    with pytest.raises(TokenInvalid):
        verify(text, Published(jwk(RSA)))


@pytest.mark.parametrize(
    "header",
    [
        b'{"alg": "RS256", "alg": "none", "kid": "k"}',
        b'{"alg": "none", "alg": "RS256", "kid": "k"}',
        b'{"alg": "RS256", "kid": "x", "kid": "k"}',
    ],
)
def test_a_header_parameter_that_comes_twice_is_refused(header: bytes) -> None:
    detail = refused(signed(header, claims()), Published(jwk(RSA)))
    assert detail == "this is not a JSON Web Token"


# Claims


@pytest.mark.parametrize(
    "twice",
    [
        b'"sub": "kim", "sub": "admin"',
        b'"sub": "admin", "sub": "kim"',
        b'"sub": "kim", "exp": 1, "exp": 9999999999',
        b'"sub": "kim", "realm_access": {"roles": [], "roles": ["admin"]}',
        b'"sub": "kim", "s\\u0075b": "admin"',
    ],
)
def test_a_claim_that_comes_twice_is_refused(twice: bytes) -> None:
    payload = b'{"iss": "https://issuer", "aud": "interact", "exp": 9999999999, ' + twice + b"}"
    text = signed({"alg": "RS256", "kid": "k"}, payload)
    assert refused(text, Published(jwk(RSA))) == "the token is malformed"


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"NaN", b"Infinity", b"1" * 5000])
@pytest.mark.parametrize("claim", [b"exp", b"nbf"])
def test_a_number_that_is_no_time_is_refused(claim: bytes, number: bytes) -> None:
    other = b"" if claim == b"exp" else b'"exp": 9999999999, '
    payload = b'{"iss": "https://issuer", "aud": "interact", "sub": "kim", %s"%s": %s}'
    text = signed({"alg": "RS256", "kid": "k"}, payload % (other, claim, number))
    assert refused(text, Published(jwk(RSA))) in (
        "the token is malformed",
        "the token is not valid yet (nbf)",
    )


@pytest.mark.parametrize("exp", [10**400, 10**18, 1e300, "9999999999"])
def test_a_huge_end_is_the_last_date(exp: object) -> None:
    text = signed({"alg": "RS256", "kid": "k"}, claims(exp=exp))
    assert verify(text, Published(jwk(RSA))).expires_at <= 253_402_300_799


@pytest.mark.parametrize("exp", [-(10**400), -1, 0, 0.5, True, False])
def test_an_end_that_was_is_over(exp: object) -> None:
    text = signed({"alg": "RS256", "kid": "k"}, claims(exp=exp))
    with pytest.raises(TokenExpired):
        verify(text, Published(jwk(RSA)))


@pytest.mark.parametrize("name", ["iss", "aud", "exp", "sub"])
@pytest.mark.parametrize("value", [None, [], {}, [[]], {"a": 1}, 5.5, "\0"])
def test_a_claim_of_another_kind_is_refused(name: str, value: object) -> None:
    text = signed({"alg": "RS256", "kid": "k"}, claims(**{name: value}))
    with pytest.raises((TokenInvalid, TokenExpired)):
        verify(text, Published(jwk(RSA)))


# Key sets


@pytest.mark.parametrize(
    "change",
    [
        {"use": "enc"},
        {"use": "enc", "alg": "RSA-OAEP"},
        {"use": "enc", "alg": "RS256"},
        {"use": ["sig"]},
        {"key_ops": ["encrypt", "wrapKey"]},
        {"key_ops": []},
        {"alg": "RSA-OAEP-256"},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": ["RS256"]},
        {"alg": 5},
        {"kty": "EC"},
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"},
        {"kty": "OKP", "crv": "Ed25519"},
        {"kty": "OKP", "crv": "X25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        {"kty": "rsa"},
        {"kty": None},
        {"kty": ["RSA"]},
        {"n": ""},
        {"n": "AQAB"},
        {"n": 5},
        {"e": ""},
        {"e": "Ag"},
        {"kid": 5},
        {"kid": ["k"]},
    ],
)
def test_a_key_that_is_not_for_signing_or_not_what_it_says_is_passed_over(
    change: dict[str, Any],
) -> None:
    bad = {**jwk(RSA), **change}
    document = json.dumps({"keys": [bad, jwk(FORGER, "good")]}).encode()
    (only,) = read_key_set(document, EVERY)
    assert only.kid == "good"
    with pytest.raises(KeySetUnavailable, match="no key for"):
        read_key_set(json.dumps({"keys": [bad]}).encode(), EVERY)
    text = signed({"alg": "RS256", "kid": "k"}, claims())
    assert "does not publish" in refused(text, Published(bad, jwk(FORGER, "good")))


def test_a_private_key_in_a_set_is_passed_over() -> None:
    private = json.loads(RSAAlgorithm.to_jwk(RSA))
    private.pop("key_ops", None)
    assert "d" in private
    document = json.dumps({"keys": [{**private, "kid": "k"}]}).encode()
    with pytest.raises(KeySetUnavailable):
        read_key_set(document, EVERY)
