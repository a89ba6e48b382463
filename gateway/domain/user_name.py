"""User names, and the one form in which they are stored and compared.

The form is that of PRECIS, profile UsernameCasePreserved (RFC 8265, section 3.4): canonically
composed (NFC), with full-width and half-width characters mapped, and without the code points that
RFC 8264 disallows (symbols, most punctuation beyond ASCII, what cannot be seen, letters of mixed
direction). ``ｋｉｍ`` is ``kim``, however a keyboard composes ``김`` it is one name; ``Kim`` is
another name than ``kim``, because the profile preserves the case.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from unicodedata import normalize

from precis_i18n import get_profile

MAX_CHARACTERS: Final = 200
#: A RabbitMQ user name travels in AMQP short strings.
MAX_BYTES: Final = 255
#: Names whose form is remembered: finding it takes twenty microseconds.
_REMEMBERED: Final = 4096
#: They are not printable, but belong to the spelling of Persian and Indic names; the profile says
#: where.
_JOINERS: Final = frozenset("\u200c\u200d")
_WIDE_SPACE: Final = "\u3000"
_PROFILE: Final = get_profile("UsernameCasePreserved")


def user_name(value: object) -> str:
    """The name in its one form, which can be carried everywhere: in STOMP headers, in RabbitMQ, on
    a page.

    The ``ValueError`` says what a name must be.
    """
    name = carried_name(value)
    if not name.isascii():
        name = carried_name(_in_form(name))
    # In ASCII the form changes nothing, and disallows what cannot be printed.
    return name


def carried_name(value: object) -> str:
    """The value as it is, if it can be carried everywhere: a name of RabbitMQ's own, which RabbitMQ
    compares in its own way. The ``ValueError`` says what a name must be."""
    if not isinstance(value, str) or not value:
        raise ValueError("a user name must be a non-empty string")
    if len(value) > MAX_CHARACTERS or len(value.encode(errors="replace")) > MAX_BYTES:
        raise ValueError(
            f"a user name must have at most {MAX_CHARACTERS} characters and {MAX_BYTES} bytes"
        )
    # Lone surrogates are not printable either, so a name that passes can be encoded.
    if not _is_printable(value) or value != value.strip():
        raise ValueError(
            "a user name must have printable characters only, and no space around them"
        )
    return value


def is_in_form(value: object) -> bool:
    """Whether the value is a user name, in its one form."""
    try:
        return user_name(value) == value
    except ValueError:
        return False


def spellings(written: str) -> list[str]:
    """The names that somebody may mean who writes this: as it is, and in its form if it has one."""
    try:
        return list(dict.fromkeys((written, user_name(written))))
    except ValueError:
        return [written]


def name_in_orders(written: str) -> str:
    """The name by which an order means somebody: the form, or the name itself if it has none, as
    names of RabbitMQ's own users may."""
    return spellings(written)[-1]


def written_otherwise(value: str, name: str) -> str | None:
    """The form in which somebody wrote the ``name``, to be shown; None if it is the same."""
    return None if value == name else value


def _is_printable(value: str) -> bool:
    return value.isprintable() or all(
        sign.isprintable() or sign in _JOINERS or sign == _WIDE_SPACE for sign in value
    )


@lru_cache(_REMEMBERED)
def _in_form(name: str) -> str:
    """The name with each of its parts in the profile's form (RFC 8265, section 3.1: the parts are
    separated by spaces)."""
    # Composed first: otherwise the parts of a Korean syllable would be looked at one by one.
    composed = normalize("NFC", name).replace(_WIDE_SPACE, " ")
    try:
        return " ".join(part and _PROFILE.enforce(part) for part in composed.split(" "))
    except UnicodeEncodeError as error:
        raise ValueError(_told(error)) from None


def _told(error: UnicodeEncodeError) -> str:
    reason = error.reason.rpartition("/")[2].replace("_", " ")
    where = str(error.object[error.start : error.end])
    return f"a user name must not have {where!r} ({reason}; RFC 8265, UsernameCasePreserved)"
