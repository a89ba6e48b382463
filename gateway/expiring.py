"""What is believed for a while and then no more, for at most so many keys."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar, overload

from cachetools import TTLCache

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
D = TypeVar("D")


class Expiring(Generic[K, V]):
    """A bounded mapping whose entries end ``lifetime`` seconds after they were put there.

    ``clock`` gives seconds. It has no ``mapping[key]`` on purpose: the clock goes on between
    ``key in mapping`` and ``mapping[key]``, and once in a million times an entry ends there.
    """

    def __init__(self, capacity: int, lifetime: float, *, clock: Callable[[], float]) -> None:
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
        # One look; the library's own ``get`` is safe as well, and takes three times as long.
        try:
            return self._entries[key]
        except KeyError:
            return default

    def put(self, key: K, value: V) -> None:
        """Replace what was there; the lifetime begins anew. Beyond the capacity the entry that was
        longest unused goes."""
        self._entries[key] = value

    def discard(self, key: K) -> None:
        """No error if it is not there."""
        self._entries.pop(key, None)

    def values(self) -> list[V]:
        """Those that have not ended, at one moment."""
        with self._entries.timer:
            return list(self._entries.values())
