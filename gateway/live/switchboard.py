"""Who of those that listen to the feeds hears what."""

from __future__ import annotations

from collections.abc import Mapping

from broker.feed import Listener
from broker.stomp import Frame


class Switchboard:
    """Some keys have a listener of their own; everything else is ``otherwise``'s."""

    def __init__(self, own: Mapping[str, Listener], *, otherwise: Listener) -> None:
        self._own = own
        self._otherwise = otherwise

    def standing(self, feed: int, key: str) -> None:
        self._own.get(key, self._otherwise).standing(feed, key)

    def arrived(self, feed: int, key: str, message: Frame) -> None:
        self._own.get(key, self._otherwise).arrived(feed, key, message)

    def lost(self, feed: int) -> None:
        for listener in (*self._own.values(), self._otherwise):
            listener.lost(feed)
