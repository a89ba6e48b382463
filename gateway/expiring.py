"""A cache whose entries expire, bounded in size."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar, overload

from cachetools import TTLCache

from broker.timing.readings import Monotonic, UnixTime

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
D = TypeVar("D")


class Expiring(Generic[K, V]):
    """A bounded mapping whose entries end ``lifetime`` seconds after they were put there.

    There is no ``mapping[key]`` on purpose: the clock goes on between
    ``key in mapping`` and ``mapping[key]``, and once in a million times an entry ends there.
    """

    def __init__(self, capacity: int, lifetime: float, *, clock: Monotonic | UnixTime) -> None:
        self._entries: TTLCache[K, V] = TTLCache(capacity, lifetime, timer=clock)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    @overload
    def get(self, key: K) -> V | None: ...

    @overload
    def get(self, key: K, default: D) -> V | D: ...

    def get(self, key: K, default: D | None = None) -> V | D | None:
        # A single lookup; the library's own ``get`` is safe as well, and takes three times as long.
        try:
            return self._entries[key]
        except KeyError:
            return default

    def put(self, key: K, value: V) -> None:
        """Set a value; its lifetime begins anew. Beyond the capacity, the entry that was longest
        unused is dropped."""
        self._entries[key] = value

    def discard(self, key: K) -> None:
        """Remove an entry; a missing one is no error."""
        self._entries.pop(key, None)

    def clear(self) -> None:
        """Remove everything."""
        self._entries.clear()

    def values(self) -> list[V]:
        """The values that have not ended, at one moment."""
        with self._entries.timer:
            return list(self._entries.values())
