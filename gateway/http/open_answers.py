"""Answers that their clients have not taken yet."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from tornado.iostream import IOStream

from gateway.domain.identity import Identity
from gateway.errors import GatewayError


@dataclass(frozen=True, slots=True)
class OpenAnswer:
    """An answer under way to a user."""

    identity: Identity
    stream: IOStream

    def end(self, error: GatewayError | None) -> None:
        """Cut it off: what was said of its length tells the client that it is not whole."""
        self.stream.close()


class OpenAnswers:
    """The answers of this gateway that wait for slow clients, one a connection at most.

    A slow client may take minutes for a page of the history, and must not get the rest of it after
    its user's access has ended. The next answer on the connection may be another user's, behind a
    proxy.
    """

    def __init__(self) -> None:
        # Weak: a connection that breaks off tells nobody here.
        self._waiting: WeakKeyDictionary[IOStream, tuple[Identity, Future[None]]] = (
            WeakKeyDictionary()
        )

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[OpenAnswer]:
        for stream, (identity, taken) in list(self._waiting.items()):
            if not stream.closed() and not taken.done():
                yield OpenAnswer(identity, stream)

    def answered(self, stream: IOStream, identity: Identity, *, taken: Future[None]) -> None:
        """Note an answer, or a part of one. ``taken``: done when the kernel has all of it."""
        if not taken.done():
            self._waiting[stream] = identity, taken
        elif stream in self._waiting:
            del self._waiting[stream]
