"""Guests: people without an account who are in one room for a lesson, and how they are called.

A guest's user name is made by the gateway and says the room: ``guest~42~k3m9x2pq``. Nobody else's
name begins with :data:`PREFIX`, whoever vouches for it, so a guest is told from everybody else by
the name alone, in a message as in a permission. What a guest chooses is a nickname, which is shown
beside that name and identifies nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from precis_i18n import get_profile

from broker.protocol.numerals import natural
from gateway.domain.display_name import display_name
from gateway.domain.user_name import user_name

PREFIX: Final = "guest~"
#: Characters of a nickname.
LONGEST_NICKNAME: Final = 30
#: No vowels, so that no name spells anything.
_LETTERS: Final = "bcdfghjkmpqrstvwxz23456789"
_LENGTH: Final = 10
#: Names whose form is remembered: everybody who enters is compared with all who are in.
_REMEMBERED: Final = 8_192
#: RFC 8266: what is shown, and what is compared.
_NICKNAME: Final = get_profile("NicknameCasePreserved")
_COMPARED: Final = get_profile("NicknameCaseMapped:CaseFold")


def new_guest(room: int, choose: Callable[[str], str]) -> str:
    """A user name for one more guest of the room. ``choose`` draws a letter."""
    return f"{of_room(room)}{''.join(choose(_LETTERS) for _ in range(_LENGTH))}"


def of_room(room: int) -> str:
    """The beginning of the names of all guests of the room."""
    return f"{PREFIX}{room}~"


def is_guest(user: str) -> bool:
    """Whether this is a guest's user name."""
    return user.startswith(PREFIX)


def room_of(user: str) -> int | None:
    """The only room of a guest; None: the user is no guest. A name that begins as a guest's and
    names no room has the room 0, which does not exist."""
    if not user.startswith(PREFIX):
        return None
    return natural(user.removeprefix(PREFIX).partition("~")[0]) or 0


def account_name(value: object) -> str:
    """The name of somebody who is no guest, in its form (:func:`user_name`). The ``ValueError``
    says what a name must be."""
    name = user_name(value)
    if name.casefold().startswith(PREFIX):
        raise ValueError(f"a user name must not begin with {PREFIX!r}: guests are called so")
    return name


def nickname(value: object) -> str:
    """The nickname in the form in which it is shown: RFC 8266 (Nickname), without control and
    format characters (which turn the text around them), 1 to :data:`LONGEST_NICKNAME` characters.
    The ``ValueError`` says what a nickname must be."""
    if not isinstance(value, str):
        raise ValueError("a nickname must be a string")
    try:
        # First the cheap and strict reading: it bounds the length.
        name = _NICKNAME.enforce(display_name(value))
    except UnicodeEncodeError as error:
        where = str(error.object[error.start : error.end])
        raise ValueError(f"a nickname must not have {where!r} (RFC 8266)") from None
    except ValueError as error:
        raise ValueError(str(error).replace("display name", "nickname")) from None
    if len(name) > LONGEST_NICKNAME:
        raise ValueError(f"a nickname must have at most {LONGEST_NICKNAME} characters")
    return str(name)


@lru_cache(_REMEMBERED)
def compared(name: str) -> str:
    """The form by which two names that people read are the same one (RFC 8266, section 2.4)."""
    try:
        return str(_COMPARED.enforce(name))
    except UnicodeEncodeError:
        # A name that is not a nickname: somebody's display name may have any printable sign.
        return name.casefold()


def numbered(name: str, taken: Iterable[str]) -> str:
    """The nickname, with the first free number if somebody in the room is called so already."""
    known = {compared(each) for each in taken}
    if compared(name) not in known:
        return name
    number = 2
    while compared(f"{name} {number}") in known:
        number += 1
    return f"{name} {number}"
