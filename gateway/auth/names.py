"""Rules for user names."""

from __future__ import annotations

from typing import Final

from gateway.domain.identity import Identity
from gateway.errors import UserChanged

MAX_CHARACTERS: Final = 200
#: A RabbitMQ user name travels in AMQP short strings.
MAX_BYTES: Final = 255


def check_user(believed: str, identity: Identity) -> None:
    """Raises :class:`UserChanged` unless the credentials are those of the believed user.

    A page that shows one user must not speak in another one's name.
    """
    if not is_user(believed, identity):
        raise UserChanged("another user has logged in meanwhile; load the page again")


def is_user(name: str, identity: Identity) -> bool:
    """Whether the name is that of the credentials' user."""
    try:
        return user_name(name) == identity.user
    except ValueError:
        return False


def user_name(value: object) -> str:
    """The value, if it can name a user everywhere: in STOMP headers, in RabbitMQ, on a page.

    The ``ValueError`` says what a name must be.
    """
    if not isinstance(value, str) or not value:
        raise ValueError("a user name must be a non-empty string")
    if len(value) > MAX_CHARACTERS or len(value.encode(errors="replace")) > MAX_BYTES:
        raise ValueError(
            f"a user name must have at most {MAX_CHARACTERS} characters and {MAX_BYTES} bytes"
        )
    # Lone surrogates are not printable either, so a name that passes can be encoded.
    if not value.isprintable() or value != value.strip():
        raise ValueError(
            "a user name must have printable characters only, and no space around them"
        )
    return value
