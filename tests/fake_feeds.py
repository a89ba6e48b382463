"""Feeds without nodes: the test says what they bring."""

from collections import Counter
from collections.abc import Iterable

from broker.feeds.listener import LEFT_OUT, Listener
from broker.protocol.stomp import Frame


class FakeFeeds:
    """Feeds without a broker, which the test drives.

    ``calls`` are the subscriptions (``+key``) and unsubscriptions (``-key``) so far. ``at_once``: a
    feed brings each topic as soon as it is wanted.
    """

    at_once = False

    def __init__(self) -> None:
        self.listeners: dict[str, Listener] = {}
        self.calls: list[str] = []
        self.nodes: list[str | None] = []
        self.problems: dict[str, str] = {}
        self.entrances: list[str] = []
        self.swept: list[str] = []
        self.left_out = Counter(dict.fromkeys(LEFT_OUT, 0))

    def subscribe(self, key: str, listener: Listener) -> None:
        assert key not in self.listeners
        self.listeners[key] = listener
        self.calls.append(f"+{key}")
        if self.at_once:
            self.stand(0, key)

    def unsubscribe(self, key: str) -> None:
        if self.listeners.pop(key, None) is not None:
            self.calls.append(f"-{key}")

    def sweep(self, entrances: Iterable[str]) -> None:
        self.swept.extend(entrances)

    # What happens to a feed

    def stand(self, feed: int, key: str) -> None:
        self.listeners[key].subscribed(feed)

    def bring(self, feed: int, key: str, message: Frame) -> None:
        self.listeners[key].message(feed, message)

    def leave_out(self, feed: int, key: str) -> None:
        self.listeners[key].left_out(feed)

    def overflow(self, feed: int) -> None:
        for listener in self.listeners.values():
            listener.dropped(feed)

    def lose(self, feed: int) -> None:
        for listener in self.listeners.values():
            listener.lost(feed)
