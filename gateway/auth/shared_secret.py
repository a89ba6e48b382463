"""The secret that all gateways share (``auth.secret``), and the keys that are derived from it.

While it is rotated, several versions of it are in force: the first signs, all of them verify.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class SharedSecret:
    """The versions of the secret that are in force; there is at least one."""

    def __init__(self, first: str, *others: str) -> None:
        self._versions = (first, *others)
        self._keys: dict[str, tuple[bytes, ...]] = {}

    def replace(self, first: str, *others: str) -> None:
        """Use these versions from now on."""
        self._versions = (first, *others)
        self._keys = {}

    def keys(self, purpose: str) -> tuple[bytes, ...]:
        """The keys of 32 bytes that are valid for one purpose only, one for each version: the first
        signs, all of them verify. It is the same tuple until the secret is replaced."""
        keys = self._keys.get(purpose)
        if keys is None:
            keys = tuple(_derived(version, purpose) for version in self._versions)
            self._keys[purpose] = keys
        return keys


def _derived(secret: str, purpose: str) -> bytes:
    """HKDF, RFC 5869."""
    info = f"interact-gateway {purpose}".encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret.encode())
