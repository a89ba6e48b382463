"""The orderly end of connections whose clients may still be sending."""

from __future__ import annotations

import asyncio
import socket
from typing import Final

#: Seconds that a client has to read its last answer and close.
_SECONDS: Final = 2.0
#: Bytes that are read from one client, and dropped, in that time.
_BYTES: Final = 1024 * 1024
#: Connections that linger at the same time; one more ends the oldest.
_MOST: Final = 256
#: What is read here is dropped, so all sockets share it.
_DROPPED: Final = memoryview(bytearray(65_536))


class Lingering:
    """The sockets on which the last answer was sent and nothing more will be.

    Closing a socket with unread input resets the connection, and the reset may destroy the answer
    on its way (RFC 9112, section 9.6). So the sending side is closed first, and what still comes is
    dropped until the client closes, too: for two seconds, one megabyte and 256 clients at most.
    """

    def __init__(self) -> None:
        #: Their timers and the bytes that each may still send; the oldest first.
        self._open: dict[socket.socket, tuple[asyncio.TimerHandle, int]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def take(self, connection: socket.socket) -> None:
        """Close the connection as soon as the client has."""
        loop = asyncio.get_running_loop()
        try:
            connection.setblocking(False)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            # The client has gone already.
            connection.close()
            return
        if len(self._open) >= _MOST:
            self.end_oldest()
        self._open[connection] = (loop.call_later(_SECONDS, self._end, connection), _BYTES)
        loop.add_reader(connection.fileno(), self._readable, connection)

    def end_oldest(self) -> bool:
        """Close the connection that has lingered longest. False: there is none."""
        for connection in self._open:
            self._end(connection)
            return True
        return False

    def close(self) -> None:
        while self.end_oldest():
            pass

    def _readable(self, connection: socket.socket) -> None:
        try:
            size = connection.recv_into(_DROPPED)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        timer, left = self._open[connection]
        if size == 0 or size > left:
            self._end(connection)
        else:
            self._open[connection] = timer, left - size

    def _end(self, connection: socket.socket) -> None:
        timer, _ = self._open.pop(connection)
        timer.cancel()
        asyncio.get_running_loop().remove_reader(connection.fileno())
        connection.close()
