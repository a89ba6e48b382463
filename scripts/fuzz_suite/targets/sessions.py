"""Session cookies and passcodes: what the gateway has not signed for this purpose is refused."""

from gateway.auth.shared_secret import SharedSecret
from gateway.auth.signing import IdentitySigner
from gateway.domain.identity import Identity
from gateway.errors import TokenExpired, TokenInvalid

_NOW = 1_800_000_000.0
_SECRET = "a secret that is long enough to sign with"  # noqa: S105 - of nobody
_IDENTITY = Identity("mina", frozenset({"host"}), _NOW + 60, "session")
_SESSIONS = IdentitySigner(SharedSecret(_SECRET), "session", clock=lambda: _NOW)
_SIGNED = _SESSIONS.sign(_IDENTITY).encode()

SEEDS = (
    _SIGNED,
    IdentitySigner(SharedSecret(_SECRET), "passcode", clock=lambda: _NOW).sign(_IDENTITY).encode(),
    b"e30.e30.e30",
)


def check(data: bytes) -> None:
    """Nobody but the signer makes a session."""
    try:
        identity = _SESSIONS.verify(data.decode(errors="replace"))
    except (TokenInvalid, TokenExpired):
        return
    # Base64 has several spellings of the last character; the content is the signed one all the
    # same.
    assert identity == _IDENTITY
    assert data[:-1] == _SIGNED[:-1]
