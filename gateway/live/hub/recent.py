"""The last messages of a topic, for subscribers that are a little behind. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

from gateway.live.hub.delivery import Delivery

#: Messages and bytes kept per topic.
MESSAGES: Final = 256
BYTES: Final = 128 * 1024


class Recent:
    """Numbered deliveries without a hole, up to the topic's last one."""

    def __init__(self) -> None:
        self._kept: deque[Delivery] = deque()
        self._bytes = 0

    def add(self, delivery: Delivery) -> None:
        self._kept.append(delivery)
        self._bytes += len(delivery.tail)
        while self._bytes > BYTES or len(self._kept) > MESSAGES:
            self._bytes -= len(self._kept.popleft().tail)

    def after(self, seq: int, *, last: int) -> list[Delivery] | None:
        """The deliveries after ``seq`` up to ``last``, the seq of the last one added; None if not
        all of them are kept."""
        behind = last - seq
        if behind > len(self._kept):
            return None
        return [self._kept[index] for index in range(len(self._kept) - behind, len(self._kept))]
