"""The keys that tokens are checked with."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256K1,
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from gateway.config import ConfigError

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey

#: RFC 7518, section 3.3.
MIN_RSA_BITS: Final = 2048
_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
#: A curve has one algorithm: RFC 7518, section 3.4, and RFC 8812, section 3.2.
_CURVES: Final = {
    SECP256R1: "ES256",
    SECP384R1: "ES384",
    SECP521R1: "ES512",
    SECP256K1: "ES256K",
}


class KeySource(Protocol):
    """A source of keys. ``algorithms`` are those that some key of it fits."""

    @property
    def algorithms(self) -> tuple[str, ...]: ...

    async def key(self, algorithm: str, kid: str | None) -> PublicKey | bytes:
        """The key for one of the algorithms. Raises :class:`TokenInvalid`, :class:`Unavailable`."""

    async def close(self) -> None: ...


class OneKey:
    """A key that does not change while the gateway runs; a token's ``kid`` is ignored."""

    def __init__(self, key: PublicKey | bytes, *algorithms: str) -> None:
        self._key = key
        self.algorithms = algorithms

    async def key(self, algorithm: str, kid: str | None) -> PublicKey | bytes:
        return self._key

    async def close(self) -> None:
        """Nothing to end."""


def algorithms_of(key: object) -> tuple[str, ...]:
    """The algorithms that a public key fits; empty for a key that fits none."""
    match key:
        case RSAPublicKey():
            return _RSA if key.key_size >= MIN_RSA_BITS else ()
        case EllipticCurvePublicKey():
            algorithm = _CURVES.get(type(key.curve))
            return () if algorithm is None else (algorithm,)
        case Ed25519PublicKey() | Ed448PublicKey():
            return ("EdDSA",)
    return ()


def read_key_file(
    path: Path, algorithms: tuple[str, ...], *, where: str = "auth.jwt.key_file"
) -> OneKey:
    """The PEM public key in a file. Raises :class:`ConfigError`, which names the file."""
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{where}: {path}: {error.strerror}") from error
    if b"PRIVATE KEY" in pem:
        raise ConfigError(
            f"{where}: {path} holds a private key, which only the issuer of the tokens"
            " should have; give its public key: openssl pkey -in private.pem -pubout"
        )
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{where}: {path} is not a PEM public key") from error
    fitting = tuple(each for each in algorithms_of(key) if each in algorithms)
    if not isinstance(key, PublicKey) or not fitting:
        raise ConfigError(
            f"{where}: {path} is not a key for {' or '.join(algorithms)}"
            f" (RS… and PS…: RSA with {MIN_RSA_BITS} bits or more, ES256: EC on P-256, ES384:"
            " P-384, ES512: P-521, ES256K: secp256k1, EdDSA: Ed25519 or Ed448)"
        )
    return OneKey(key, *fitting)
