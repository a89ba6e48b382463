"""The open connections of a listener, and who of them can make room."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from typing import Generic, TypeVar

from gateway.budget.addresses import network_of

T = TypeVar("T", bound=Hashable)


class Open(Generic[T]):
    """The connections, the address of each, and those that wait for a whole request. All addresses
    of an IPv6 network count as one.

    A connection without one can be closed without harm: a browser opens another one.
    """

    def __init__(self) -> None:
        self._addresses: dict[T, str] = {}
        #: In the order in which they began to wait; the second by address.
        self._waiting: dict[T, None] = {}
        self._waiting_from: defaultdict[str, dict[T, None]] = defaultdict(dict)

    def __len__(self) -> int:
        return len(self._addresses)

    def __contains__(self, one: T) -> bool:
        return one in self._addresses

    def add(self, one: T, address: str) -> None:
        self._addresses[one] = network_of(address)

    def remove(self, one: T) -> None:
        """Forget the connection, if it is known."""
        if one in self._addresses:
            self.works(one)
            del self._addresses[one]

    def waits(self, one: T) -> None:
        """The connection waits for a request from now on."""
        if one in self._addresses:
            self._waiting[one] = None
            self._waiting_from[self._addresses[one]][one] = None

    def works(self, one: T) -> None:
        """The connection has a request."""
        if one in self._waiting:
            del self._waiting[one]
            address = self._addresses[one]
            del self._waiting_from[address][one]
            if not self._waiting_from[address]:
                del self._waiting_from[address]

    def longest_waiting(self, address: str | None = None) -> T | None:
        """The connection (of this address) that has waited longest for a request."""
        waiting = (
            self._waiting if address is None else self._waiting_from.get(network_of(address), {})
        )
        return next(iter(waiting), None)
