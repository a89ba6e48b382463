"""The keys that tokens are checked with."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from gateway.config import ConfigError

PublicKey = RSAPublicKey | EllipticCurvePublicKey

#: RFC 7518, section 3.3.
MIN_RSA_BITS: Final = 2048


class KeySource(Protocol):
    """A source of keys. ``algorithms`` are those that some key of it fits."""

    @property
    def algorithms(self) -> tuple[str, ...]: ...

    async def key(self, algorithm: str, kid: str | None) -> PublicKey | bytes:
        """The key for one of the algorithms. Raises :class:`TokenInvalid`, :class:`Unavailable`."""

    async def close(self) -> None: ...


class OneKey:
    """A key that does not change while the gateway runs; a token's ``kid`` is ignored."""

    def __init__(self, key: PublicKey | bytes, algorithm: str) -> None:
        self._key = key
        self.algorithms: tuple[str, ...] = (algorithm,)

    async def key(self, algorithm: str, kid: str | None) -> PublicKey | bytes:
        return self._key

    async def close(self) -> None:
        """Nothing to end."""


def algorithm_of(key: object) -> str | None:
    """The algorithm that a public key fits; None for a key that fits none."""
    if isinstance(key, RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        return "RS256"
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return "ES256"
    return None


def read_key_file(path: Path, algorithms: tuple[str, ...]) -> OneKey:
    """The PEM public key in a file. Raises :class:`ConfigError`, which names the file."""
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"auth.jwt.key_file: {path}: {error.strerror}") from error
    if b"PRIVATE KEY" in pem:
        raise ConfigError(
            f"auth.jwt.key_file: {path} holds a private key, which only the issuer of the tokens"
            " should have; give its public key: openssl pkey -in private.pem -pubout"
        )
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"auth.jwt.key_file: {path} is not a PEM public key") from error
    algorithm = algorithm_of(key)
    if not isinstance(key, PublicKey) or algorithm not in algorithms:
        raise ConfigError(
            f"auth.jwt.key_file: {path} is not a key for {' or '.join(algorithms)}"
            f" (RS256: RSA with {MIN_RSA_BITS} bits or more, ES256: EC on P-256)"
        )
    return OneKey(key, algorithm)
