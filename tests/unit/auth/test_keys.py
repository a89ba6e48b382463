"""The key file."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from gateway.auth.keys import PublicKey, algorithms_of, read_key_file
from gateway.config import ConfigError

BOTH = ("RS256", "ES256")
RSA = rsa.generate_private_key(65537, 2048)
SHORT_RSA = rsa.generate_private_key(65537, 1024)  # noqa: S505 - it is refused
EC = ec.generate_private_key(ec.SECP256R1())


def pem(key: PublicKey | ed25519.Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("key", "algorithm"), [(RSA.public_key(), "RS256"), (EC.public_key(), "ES256")]
)
def test_a_public_key_is_read_with_its_algorithm(
    tmp_path: Path, key: PublicKey, algorithm: str
) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(pem(key))
    source = read_key_file(path, BOTH)
    assert source.algorithms == (algorithm,)
    assert asyncio.run(source.key(algorithm, "any")) == key


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"key_file: .*key\.pem: No such file"):
        read_key_file(tmp_path / "key.pem", BOTH)


@pytest.mark.parametrize("key", [RSA, EC])
@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_private_key_is_refused_and_not_shown(
    tmp_path: Path,
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    form: PrivateFormat,
) -> None:
    path = tmp_path / "key.pem"
    private = key.private_bytes(Encoding.PEM, form, NoEncryption())
    path.write_bytes(private)
    with pytest.raises(ConfigError, match=r"key\.pem holds a private key") as caught:
        read_key_file(path, BOTH)
    assert private.splitlines()[1].decode() not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"no key", pem(EC.public_key())[:60]])
def test_a_file_that_is_no_public_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"key\.pem is not a PEM public key"):
        read_key_file(path, BOTH)


@pytest.mark.parametrize(
    ("key", "algorithms"),
    [
        (RSA.public_key(), ("ES256",)),
        (EC.public_key(), ("RS256",)),
        (SHORT_RSA.public_key(), BOTH),
        (ec.generate_private_key(ec.SECP384R1()).public_key(), BOTH),
        (ed25519.Ed25519PrivateKey.generate().public_key(), BOTH),
    ],
)
def test_a_key_that_no_configured_algorithm_takes_is_refused(
    tmp_path: Path,
    key: PublicKey | ed25519.Ed25519PublicKey,
    algorithms: tuple[str, ...],
) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(pem(key))
    with pytest.raises(ConfigError, match=f"is not a key for {' or '.join(algorithms)}"):
        read_key_file(path, algorithms)


def test_a_private_key_has_no_algorithm_here() -> None:
    assert algorithms_of(RSA) == ()
