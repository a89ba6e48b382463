"""The messages that gateways send each other, sealed so that nobody else can write or read them.

Sans-I/O. A key that all gateways derive from ``auth.secret`` seals each message by AES-GCM (NIST SP
800-38D), which signs and encrypts at once: a subscriber of ``#`` may see the bytes go by. Base64
makes them text, because Web-STOMP carries text. Pure except for the nonce, which must be random.
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

from broker.timing.readings import UnixTime
from gateway.auth.shared_secret import SharedSecret
from gateway.expiring import Expiring

#: The largest message on the wire, in bytes.
MAX_BYTES: Final = 256 * 1024
#: Seconds that a message may take, including what is not known of the difference between two
#: gateways' clocks.
FRESH: Final = 30.0
#: Messages that are remembered, so that the second feed's copy and replays are dropped.
MEMORY: Final = 16_384

_NONCE_BYTES: Final = 12


class BadEnvelope(Exception):
    """A message to be dropped. ``why`` is one of a few words, for counting."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message among gateways. ``sender`` is a gateway's name, ``payload`` a JSON object,
    ``reply_to`` the ``id`` of the question that it answers."""

    id: str
    sender: str
    kind: str
    payload: Mapping[str, Any]
    reply_to: str | None = None


class Seal:
    """The keys that seal and open messages, and the ids of those opened before. While the secret is
    rotated, messages that were sealed with any version of it are opened.

    ``ahead`` gives the seconds by which the clock of a gateway is ahead of this one's, as far as
    that is known: its messages are as fresh as if the clocks went alike.
    """

    def __init__(
        self,
        secret: SharedSecret,
        *,
        clock: UnixTime,
        ahead: Callable[[str], float] = lambda _: 0.0,
    ) -> None:
        self._ahead = ahead
        self._secret = secret
        self._keys: tuple[bytes, ...] = ()
        self._made: tuple[AESGCM, ...] = ()
        self._clock = clock
        # Twice the time: a message may come from a clock that is ahead, and again when it is
        # behind.
        self._seen: Expiring[bytes, None] = Expiring(MEMORY, 2 * FRESH, clock=clock)

    def close(self, envelope: Envelope) -> bytes:
        """Seal a message. Raises ValueError for more than :data:`MAX_BYTES`, TypeError for a
        payload that is not JSON."""
        words = [
            self._clock(),
            envelope.id,
            envelope.sender,
            envelope.kind,
            envelope.payload,
            envelope.reply_to,
        ]
        # Not in ASCII, in which a Korean syllable would take twice as much of the limit.
        text = json.dumps(words, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        # Characters that UTF-8 cannot encode stay JSON escapes.
        data = text.encode(errors="backslashreplace")
        nonce = os.urandom(_NONCE_BYTES)
        sealed = b64encode(nonce + self._ciphers[0].encrypt(nonce, data, None))
        if len(sealed) > MAX_BYTES:
            raise ValueError(f"{envelope.kind}: {len(sealed)} bytes; {MAX_BYTES} at most")
        return sealed

    def open(self, data: bytes) -> Envelope:
        """Open a sealed message. Raises :class:`BadEnvelope`: ``forged`` (no gateway made it),
        ``stale``, ``repeated``."""
        if len(data) > MAX_BYTES:
            raise BadEnvelope("forged")
        try:
            sealed = b64decode(data, validate=True)
            nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            text = self._decrypted(nonce, rest)
        except ValueError as error:
            raise BadEnvelope("forged") from error
        if nonce in self._seen:
            raise BadEnvelope("repeated")
        sent_at, *words = json.loads(text)
        envelope = Envelope(*words)
        if abs(self._clock() + self._ahead(envelope.sender) - sent_at) > FRESH:
            raise BadEnvelope("stale")
        self._seen.put(nonce, None)
        return envelope

    @property
    def _ciphers(self) -> tuple[AESGCM, ...]:
        """One for each version of the secret. Making one costs more than sealing a message."""
        keys = self._secret.keys("bus")
        if keys is not self._keys:
            self._keys, self._made = keys, tuple(AESGCM(key) for key in keys)
        return self._made

    def _decrypted(self, nonce: bytes, sealed: bytes) -> bytes:
        """Raises :class:`BadEnvelope`, ``ValueError``."""
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(nonce, sealed, None)
            except InvalidTag:
                # Perhaps it was sealed with another version of the secret.
                continue
        raise BadEnvelope("forged")
