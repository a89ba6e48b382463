"""New accounts, as a list has them: who, with which roles, and by which password. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from gateway.domain import display_name as display_names
from gateway.domain.guest import account_name
from gateway.domain.identity import ADMIN, HOST, OBSERVER
from gateway.domain.roster import Line, has_heads, lines_of
from gateway.domain.spoken_password import spoken_password
from gateway.domain.user_name import written_otherwise

SHORTEST_PASSWORD: Final = 8
LONGEST_PASSWORD: Final = 200
#: Of one account, and characters of one.
MOST_ROLES: Final = 20
LONGEST_ROLE: Final = 100
#: What stands in a list for a role, and for none; another word is a role of an access rule.
_ROLES: Final[Mapping[str, str | None]] = {
    "participant": None,
    "참여자": None,
    "학생": None,
    "진행자": HOST,
    "교사": HOST,
    "선생님": HOST,
    "관리자": ADMIN,
    "관찰자": OBSERVER,
}


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account whose password is not hashed yet."""

    user: str
    password: str = field(repr=False)
    roles: frozenset[str]
    display_name: str | None
    #: Nobody knows it yet.
    is_generated: bool = False

    @classmethod
    def of(
        cls,
        written: str,
        password: str,
        roles: Iterable[str],
        *,
        display_name: str | None,
        is_generated: bool = False,
    ) -> Self:
        """An account for a name as somebody has written it, which is shown if nothing else is. The
        ``ValueError`` says what is wrong."""
        name = account_name(written)
        if len(password) < SHORTEST_PASSWORD:
            raise ValueError(f"a password must have at least {SHORTEST_PASSWORD} characters")
        if len(password) > LONGEST_PASSWORD:
            raise ValueError(f"a password must have at most {LONGEST_PASSWORD} characters")
        if display_name:
            shown: str | None = display_names.display_name(display_name)
        else:
            shown = written_otherwise(written, name)
        return cls(name, password, _roles(roles), shown, is_generated)


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a list: ``account``, or ``why`` there is none. ``written``: the user's name as it
    stands there."""

    line: int
    written: str
    account: NewAccount | None = None
    why: str | None = None


def account_lines(text: str) -> Iterator[Line]:
    """The lines of a list whose first line names the columns (``user``, ``password``, ``roles``,
    ``name``), read one after the other. The ``ValueError`` says what is wrong with all of it."""
    if not has_heads(text):
        raise ValueError("its first line must be: user,password,roles,name")
    yield from lines_of(text)


def listed(line: Line, choose: Callable[[str], str]) -> Listed:
    """The account of a line; without a password it gets one that is easily spoken. ``choose`` draws
    a letter."""
    written, given = line.get("user"), line.get("password")
    try:
        account = NewAccount.of(
            written,
            given or spoken_password(choose),
            f"{line.get('roles')} {line.get('role')}".replace(",", " ").split(),
            display_name=line.get("name"),
            is_generated=not given,
        )
    except ValueError as error:
        return Listed(line.number, written[:200], why=str(error))
    return Listed(line.number, written, account)


def _roles(written: Iterable[str]) -> frozenset[str]:
    roles = (_ROLES.get(each.lower(), each) for each in written)
    found = frozenset(role for role in roles if role is not None)
    if len(found) > MOST_ROLES:
        raise ValueError(f"an account may have at most {MOST_ROLES} roles")
    for role in found:
        if not (role.isprintable() and role.strip() and len(role) <= LONGEST_ROLE):
            raise ValueError(
                f"a role must have 1 to {LONGEST_ROLE} printable characters, no blanks around them"
            )
    return found
