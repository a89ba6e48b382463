"""The sockets that are read, in one epoll(7) of their own.

uvloop makes an object for each ``add_reader``, tries the descriptor out, and frees all of that at
``remove_reader``. A socket that has to wait for its turn (:mod:`gateway.rotation`) is taken out and
put back for each read: here that is one system call each.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from contextvars import Context


class Poller:
    """The readers of sockets. It belongs to the loop in which it is first used."""

    __slots__ = ("_epoll", "_readers")

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        self._readers: dict[int, tuple[Context, Callable[[], None]]] = {}

    def add(self, descriptor: int, reader: Callable[[], None], context: Context) -> None:
        """Call the reader in this context whenever something has come, or the end, until
        :meth:`remove`."""
        if self._epoll is None:
            self._epoll = select.epoll()
            # In no context: whose socket is the first one means nothing to the others.
            Context().run(asyncio.get_running_loop().add_reader, self._epoll.fileno(), self._read)
        self._epoll.register(descriptor, select.EPOLLIN)
        self._readers[descriptor] = context, reader

    def remove(self, descriptor: int) -> None:
        """Call its reader no more; to be called before the descriptor is closed."""
        if self._readers.pop(descriptor, None) is not None and self._epoll is not None:
            self._epoll.unregister(descriptor)

    def _read(self) -> None:
        if self._epoll is None:
            return
        for descriptor, _ in self._epoll.poll(0):
            if (found := self._readers.get(descriptor)) is None:
                # The one before it has closed it.
                continue
            context, reader = found
            try:
                context.run(reader)
            except Exception as error:
                # One client's fault must not keep the others from being read.
                context.run(
                    asyncio.get_running_loop().call_exception_handler,
                    {"message": "what a socket has brought could not be read", "exception": error},
                )
