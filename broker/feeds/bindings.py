"""The bindings of one feed's queue: what is wanted, what stands, what is under way. Pure.

RabbitMQ answers requests on a channel in their order and names no binding in the answer. At most
one request for a key is under way; a wish that changes meanwhile is looked at when the answer
comes. So nothing is bound twice, however often a key is wanted and given up while RabbitMQ is slow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """The state of one key's binding.

    ``absent``: nobody wants it. ``binding``: wanted and asked for. ``unwanted``: asked for, and
    given up before the answer. ``bound``: it stands. ``unbinding``: its end is asked for.
    ``rewanted``: its end is asked for, and it is wanted again.
    """

    ABSENT = "absent"
    BINDING = "binding"
    UNWANTED = "unwanted"
    BOUND = "bound"
    UNBINDING = "unbinding"
    REWANTED = "rewanted"


class Input(StrEnum):
    """An event of a key; ``answered``: RabbitMQ has done what it was asked for."""

    WANT = "want"
    GIVE_UP = "give up"
    ANSWERED = "answered"


class Request(StrEnum):
    """A request to RabbitMQ for a key."""

    BIND = "bind"
    UNBIND = "unbind"


#: (state, input) -> next state. What is not here cannot happen, or changes nothing.
TRANSITIONS: Final[Mapping[tuple[State, Input], State]] = {
    (State.ABSENT, Input.WANT): State.BINDING,
    (State.BINDING, Input.ANSWERED): State.BOUND,
    (State.BINDING, Input.GIVE_UP): State.UNWANTED,
    (State.UNWANTED, Input.WANT): State.BINDING,
    (State.UNWANTED, Input.ANSWERED): State.UNBINDING,
    (State.BOUND, Input.GIVE_UP): State.UNBINDING,
    (State.UNBINDING, Input.WANT): State.REWANTED,
    (State.UNBINDING, Input.ANSWERED): State.ABSENT,
    (State.REWANTED, Input.GIVE_UP): State.UNBINDING,
    (State.REWANTED, Input.ANSWERED): State.BINDING,
}

#: What RabbitMQ is asked for on these transitions; on the others, nothing.
REQUESTS: Final[Mapping[tuple[State, Input], Request]] = {
    (State.ABSENT, Input.WANT): Request.BIND,
    (State.UNWANTED, Input.ANSWERED): Request.UNBIND,
    (State.BOUND, Input.GIVE_UP): Request.UNBIND,
    (State.REWANTED, Input.ANSWERED): Request.BIND,
}

#: The states of bindings that are wanted and do not stand.
_MISSING: Final = frozenset({State.BINDING, State.REWANTED})


class UnexpectedAnswer(Exception):
    """RabbitMQ answered something that it was not asked."""


class Bindings:
    """The bindings of a queue that is new, so that none stands yet.

    Every method returns what RabbitMQ is to be asked for the key now, if anything; the requests
    must be sent in this order, on one channel.
    """

    def __init__(self) -> None:
        self._states: dict[str, State] = {}
        self._asked: deque[tuple[str, Request]] = deque()
        #: The number of bindings that are wanted do not stand yet.
        self.missing = 0

    def __iter__(self) -> Iterator[str]:
        """The keys that stand or are under way."""
        return iter(tuple(self._states))

    @property
    def unanswered(self) -> int:
        """The number of requests under way."""
        return len(self._asked)

    def stands(self, key: str) -> bool:
        return self._states.get(key) is State.BOUND

    def want(self, key: str) -> Request | None:
        return self._change(key, Input.WANT)

    def give_up(self, key: str) -> Request | None:
        return self._change(key, Input.GIVE_UP)

    def answered(self, request: Request) -> tuple[str, Request | None]:
        """Take the answer to the oldest request, which was of this kind; returns its key.

        Raises :class:`UnexpectedAnswer`.
        """
        if not self._asked or self._asked[0][1] is not request:
            raise UnexpectedAnswer(f"an answer to a request to {request} that was not made")
        key, _ = self._asked.popleft()
        return key, self._change(key, Input.ANSWERED)

    def _change(self, key: str, input: Input) -> Request | None:
        state = self._states.get(key, State.ABSENT)
        following = TRANSITIONS.get((state, input))
        if following is None:
            return None
        self.missing += (following in _MISSING) - (state in _MISSING)
        if following is State.ABSENT:
            del self._states[key]
        else:
            self._states[key] = following
        request = REQUESTS.get((state, input))
        if request is not None:
            self._asked.append((key, request))
        return request
