"""The description of a method of a resource, beside its code: who may call it, what it takes, and
what it answers. The documents and the tests read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from enum import Enum
from typing import Any, Final, TypeVar

from gateway.errors import (
    GatewayError,
    HookUnavailable,
    KeptOut,
    LoginsWait,
    NoCapacity,
    NotAuthenticated,
    SessionEnded,
    StoreUnavailable,
    TokenExpired,
    TokenInvalid,
    TooManyGuesses,
    TooManyLogins,
    Unavailable,
    UserChanged,
)
from gateway.http.body import Body

JSON: Final = "application/json"

#: The errors of whatever says who it is.
OF_USERS: Final[tuple[type[GatewayError], ...]] = (
    *(NotAuthenticated, TokenExpired, TokenInvalid, SessionEnded, UserChanged),
    *(KeptOut, TooManyGuesses, TooManyLogins, LoginsWait),
    *(HookUnavailable, StoreUnavailable, Unavailable, NoCapacity),
)

_Method = TypeVar("_Method", bound=Callable[..., Any])
_ATTRIBUTE: Final = "_operation"


class Who(Enum):
    """Those who may call a method, from everybody down to admins."""

    ANYBODY = "anybody"
    USER = "a logged-in user"
    HOST_ROLE = "users with the role host"
    MEMBER = "members of the room"
    HOST = "hosts of the room"
    ADMIN = "users with the role admin"
    OBSERVER = "users with the role admin or observer"
    OPERATOR = "operators, with the token for draining"
    RABBITMQ = "RabbitMQ, from server.internal_networks"


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the answers that are no problem. ``shape``: the type of its JSON; ``headers``: those
    that it has beside what every answer has; ``inside``: the type of its JSON on the internal
    listener, if that is another answer."""

    what: str
    shape: Any = None
    media_type: str | None = None
    headers: tuple[str, ...] = ()
    inside: Any = None

    @property
    def content(self) -> str | None:
        """The media type of its body; None: it has none."""
        return self.media_type or (None if self.shape is None else JSON)


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of a resource, which this decorates. ``refuses``: the errors that are its own,
    beside those that every such method has; a kind stands for itself alone. ``more``: what a reader
    must know besides."""

    summary: str
    _: KW_ONLY
    who: Who
    answers: Mapping[int, Answer]
    body: type[Body] | None = None
    query: type[Body] | None = None
    headers: tuple[str, ...] = ()
    refuses: tuple[type[GatewayError], ...] = ()
    more: str = ""

    def __call__(self, method: _Method) -> _Method:
        """The method as it is, with this said of it."""
        setattr(method, _ATTRIBUTE, self)
        return method


def operation_of(method: object) -> Operation | None:
    """The description of a method; None: it has none."""
    found: Operation | None = getattr(method, _ATTRIBUTE, None)
    return found
