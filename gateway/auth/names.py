"""What a user may be called."""

from __future__ import annotations

from typing import Final

from gateway.domain.identity import Identity
from gateway.errors import UserChanged

MAX_CHARACTERS: Final = 200
#: A RabbitMQ user name travels in AMQP short strings.
MAX_BYTES: Final = 255


def check_user(believed: str, identity: Identity) -> None:
    """Raises :class:`UserChanged` unless this is the name of the one whom the proof is for.

    What a page has shown one user is not to be said in another one's name.
    """
    try:
        same = user_name(believed) == identity.user
    except ValueError:
        same = False
    if not same:
        raise UserChanged("somebody else has logged in here meanwhile: load the page again")


def user_name(value: object) -> str:
    """The value, if it can name a user everywhere: in STOMP headers, in RabbitMQ, on a page.

    ``ValueError`` says what it must be.
    """
    if not isinstance(value, str) or not value:
        raise ValueError("a user name is a non-empty string")
    if len(value) > MAX_CHARACTERS or len(value.encode(errors="replace")) > MAX_BYTES:
        raise ValueError(
            f"a user name has {MAX_CHARACTERS} characters and {MAX_BYTES} bytes at most"
        )
    # Lone surrogates are not printable either, so what passes can be encoded.
    if not value.isprintable() or value != value.strip():
        raise ValueError("a user name has printable characters only, and no space around them")
    return value
