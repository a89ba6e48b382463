"""The latest posts that were stored here: which request brought which message, and when."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from broker.timing.readings import UnixTime
from gateway.observe import logs

#: Posts that are remembered: some megabytes, and a quarter of an hour of twenty a second.
KEPT: Final = 20_000
#: Posts of one id that are found at most: a WebSocket's have all the same.
FOUND: Final = 20


@dataclass(slots=True)
class Post:
    """A stored post. ``request``: the id of its HTTP request, or of its WebSocket's handshake;
    ``stored_at``, ``answered_at``: Unix times. ``confirmed``: RabbitMQ had confirmed it by then."""

    request: str
    message: UUID
    stored_at: float
    answered_at: float | None = None
    confirmed: bool = False


class Posts:
    """The latest posts of this gateway. Nobody's name is in them, nor what was said."""

    def __init__(self, *, clock: UnixTime, kept: int = KEPT) -> None:
        self._clock = clock
        self._kept: deque[Post] = deque(maxlen=kept)

    def stored(self, message: UUID) -> Post:
        """Note that the running request's message is in the database. It takes a microsecond."""
        post = Post(logs.connection.get(), message, self._clock())
        self._kept.append(post)
        return post

    def answered(self, post: Post, *, confirmed: bool) -> None:
        """Note that the post is answered."""
        post.answered_at = self._clock()
        post.confirmed = confirmed

    def by_request(self, request: str) -> list[Post]:
        """The latest posts of a request or connection, the last one first."""
        found = [post for post in self._kept if post.request == request]
        return found[: -FOUND - 1 : -1]

    def by_messages(self, messages: Collection[UUID]) -> dict[UUID, list[Post]]:
        """The latest posts of each message, which may have been sent several times; the last one
        first. One look for all of them: the loop waits for it."""
        found: dict[UUID, list[Post]] = {message: [] for message in messages}
        for post in self._kept:
            if post.message in found:
                found[post.message].append(post)
        return {message: posts[: -FOUND - 1 : -1] for message, posts in found.items()}
