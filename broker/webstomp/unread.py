"""Whether silence is the peer's, or our own doing."""

from __future__ import annotations

import select
import socket


def has_unread(sock: socket.socket) -> bool:
    """Bytes, or the end, wait in the kernel: the peer has spoken, and we have not listened."""
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    return bool(poller.poll(0))
