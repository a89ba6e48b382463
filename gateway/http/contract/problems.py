"""The problems that the methods of resources may answer with, and what to do about each; from the
one table of errors."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from gateway.errors import (
    ERRORS,
    BodyTooSlow,
    Draining,
    GatewayError,
    HeadTooLarge,
    HeadTooSlow,
    HostRefused,
    Internal,
    Invalid,
    NetworkRefused,
    NoCapacity,
    NotAuthenticated,
    OriginRefused,
    RateLimited,
    Refused,
    Removed,
    RoomReplaced,
    TooLarge,
    TooManyConnects,
    TooManyHttp,
    UnknownPath,
    UnknownRoom,
)
from gateway.http.contract.operation import OF_USERS, Operation, Who

#: Of whatever comes by HTTP, before anybody looks at what it is.
_EVERY: Final = frozenset(
    {
        *(Invalid, UnknownPath, Internal, NoCapacity),
        *(HeadTooLarge, HeadTooSlow, TooLarge, BodyTooSlow),
        *(RateLimited, TooManyConnects, TooManyHttp),
    }
)
_OF_ROOMS: Final = frozenset({UnknownRoom, Refused, Removed, RoomReplaced})
_BY_WHO: Final[dict[Who, frozenset[type[GatewayError]]]] = {
    Who.ANYBODY: frozenset(),
    # Guests may do nothing outside their room.
    Who.USER: frozenset({*OF_USERS, Refused}),
    Who.HOST_ROLE: frozenset({*OF_USERS, Refused}),
    Who.MEMBER: _OF_ROOMS | {*OF_USERS},
    Who.HOST: _OF_ROOMS | {*OF_USERS},
    Who.ADMIN: frozenset({*OF_USERS, Refused}),
    Who.OBSERVER: frozenset({*OF_USERS, Refused}),
    Who.OPERATOR: frozenset({NotAuthenticated, Refused, OriginRefused}),
    Who.RABBITMQ: frozenset({NetworkRefused}),
}
_SAFE: Final = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Kind:
    """A problem as the reference tells it."""

    code: str
    status: int
    close_code: int
    title: str
    meaning: str
    advice: str


def kinds() -> Iterator[Kind]:
    """All problems, by status and code."""
    for error, row in sorted(ERRORS.items(), key=lambda each: (each[1].status, each[1].code)):
        yield Kind(
            code=row.code,
            status=row.status,
            close_code=int(row.close_code),
            title=row.title,
            meaning=_first_sentence(error),
            advice=error.advice,
        )


def refusals(
    operation: Operation, method: str, *, is_api: bool, is_internal: bool
) -> dict[int, list[str]]:
    """The codes of the problems that a method may answer with, by their status. ``is_api``: of a
    resource that pages of other origins may use."""
    found: set[type[GatewayError]] = {*_EVERY, *_BY_WHO[operation.who], *operation.refuses}
    if is_api:
        # Of each safe method, too: an answer is never shared with a page that may not have it.
        found |= {OriginRefused}
        if method not in _SAFE:
            found |= {Draining}
    if is_internal:
        found |= {HostRefused}
    return by_status(found)


def by_status(found: Iterable[type[GatewayError]]) -> dict[int, list[str]]:
    """The codes of errors, by their status."""
    told: dict[int, list[str]] = {}
    for row in sorted((ERRORS[each] for each in found), key=lambda row: (row.status, row.code)):
        told.setdefault(row.status, []).append(row.code)
    return told


def _first_sentence(error: type[GatewayError]) -> str:
    text = " ".join((inspect.getdoc(error) or "").split()).replace("``", "")
    # A sentence ends at a full stop, or at a colon or semicolon before what is for the code alone.
    return re.split(r"(?<=\.)\s|; retry_after", text, maxsplit=1)[0].rstrip(".") + "."
