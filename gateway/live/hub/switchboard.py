"""Who of those that listen to the feeds hears what."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from broker.protocol.stomp import Frame
from broker.webstomp.feed import Listener

logger = logging.getLogger(__name__)


class Switchboard:
    """Some keys have a listener of their own; everything else is ``otherwise``'s."""

    def __init__(self, own: Mapping[str, Listener], *, otherwise: Listener) -> None:
        self._own = own
        self._otherwise = otherwise

    def standing(self, feed: int, key: str) -> None:
        self._own.get(key, self._otherwise).standing(feed, key)

    def arrived(self, feed: int, key: str, message: Frame) -> None:
        self._own.get(key, self._otherwise).arrived(feed, key, message)

    def left_out(self, feed: int, key: str) -> None:
        self._own.get(key, self._otherwise).left_out(feed, key)

    def stalled(self, feed: int) -> None:
        self._tell_all(lambda listener: listener.stalled(feed))

    def resumed(self, feed: int) -> None:
        self._tell_all(lambda listener: listener.resumed(feed))

    def lost(self, feed: int) -> None:
        self._tell_all(lambda listener: listener.lost(feed))

    def _tell_all(self, tell: Callable[[Listener], None]) -> None:
        for listener in (*self._own.values(), self._otherwise):
            try:
                tell(listener)
            except Exception:
                # One's fault must not keep the others from hearing what their feed does.
                logger.exception("%s could not handle what a feed does", type(listener).__name__)
