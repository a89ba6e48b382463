"""What gateways say to each other on the wire: sealed, so that nobody else can say or read it.

Sans-I/O. A key that all gateways derive from ``auth.secret`` seals each message by AES-GCM (NIST SP
800-38D), which signs and encrypts at once: a subscriber of ``#`` may see the bytes go by. Base64
makes them text, because Web-STOMP carries text. Pure but for the nonce, which must be random.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.auth.signing import derived_key
from gateway.expiring import Expiring

#: Bytes of a message on the wire.
MAX_BYTES: Final = 256 * 1024
#: Seconds that a message may take, the difference between two gateways' clocks included.
FRESH: Final = 30.0
#: Messages that are remembered, so that the second feed's copy and a replay are dropped.
MEMORY: Final = 16_384

_NONCE_BYTES: Final = 12


class BadEnvelope(Exception):
    """A message that is dropped; ``why`` is one of few words, for counting."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Envelope:
    """``sender`` is a gateway's name, ``payload`` a JSON object, ``reply_to`` the ``id`` of the
    question that it answers."""

    id: str
    sender: str
    kind: str
    payload: Mapping[str, Any]
    reply_to: str | None = None


class Seal:
    """``clock`` gives seconds since the epoch."""

    def __init__(self, secret: str, *, clock: Callable[[], float]) -> None:
        self._cipher = AESGCM(derived_key(secret, "bus"))
        self._clock = clock
        # Twice: a message may come from a clock that is ahead, and again when it is behind.
        self._seen: Expiring[bytes, None] = Expiring(MEMORY, 2 * FRESH, clock=clock)

    def close(self, envelope: Envelope) -> bytes:
        """Raises ValueError for more than :data:`MAX_BYTES`, TypeError for what is no JSON."""
        words = [
            self._clock(),
            envelope.id,
            envelope.sender,
            envelope.kind,
            envelope.payload,
            envelope.reply_to,
        ]
        # Not in ASCII, where a sign of Korean takes twice as much of the limit.
        text = json.dumps(words, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        # What UTF-8 cannot say stays the escape that JSON has for it.
        data = text.encode(errors="backslashreplace")
        nonce = os.urandom(_NONCE_BYTES)
        sealed = b64encode(nonce + self._cipher.encrypt(nonce, data, None))
        if len(sealed) > MAX_BYTES:
            raise ValueError(f"{envelope.kind}: {len(sealed)} bytes; {MAX_BYTES} at most")
        return sealed

    def open(self, data: bytes) -> Envelope:
        """Raises :class:`BadEnvelope`: ``forged`` (no gateway made it), ``stale``, ``repeated``."""
        if len(data) > MAX_BYTES:
            raise BadEnvelope("forged")
        try:
            sealed = b64decode(data, validate=True)
            nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            text = self._cipher.decrypt(nonce, rest, None)
        except (ValueError, InvalidTag) as error:
            raise BadEnvelope("forged") from error
        if nonce in self._seen:
            raise BadEnvelope("repeated")
        sent_at, *words = json.loads(text)
        if abs(self._clock() - sent_at) > FRESH:
            raise BadEnvelope("stale")
        self._seen.put(nonce, None)
        return Envelope(*words)
