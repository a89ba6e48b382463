"""The service manager that has started this process, and is told how it fares: systemd's
notifications (``Type=notify``) and its watchdog.

Elsewhere nothing is sent. https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Mapping
from typing import NoReturn

logger = logging.getLogger(__name__)


class ServiceManager:
    """The service manager's socket for notifications. ``environment``: what it has set."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._interval = _watchdog(environment)

    @property
    def interval(self) -> float | None:
        """Seconds between two signs of life; None: nobody waits for them."""
        return self._interval if self._address else None

    def ready(self, status: str) -> None:
        """The gateway serves. ``status`` is what ``systemctl status`` shows."""
        self._tell(f"READY=1\nSTATUS={status}")

    def leaving(self, *, within: float) -> None:
        """The gateway stops by itself, which takes so many seconds at most."""
        self._tell(f"STOPPING=1\nSTATUS=leaving\nEXTEND_TIMEOUT_USEC={int(within * 1_000_000)}")

    async def watch(self) -> NoReturn:
        """Give signs of life until cancelled: they stop with the event loop, and the service
        manager then ends the process and starts another one."""
        assert self.interval is not None  # noqa: S101 - nobody watches otherwise
        while True:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(self.interval)

    def _tell(self, text: str) -> None:
        if not self._address:
            return
        # "@" stands for the null byte of Linux' abstract sockets.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
                datagrams.setblocking(False)
                datagrams.sendto(text.encode(), address)
        except OSError as error:
            # The next sign of life may arrive.
            what = text.partition("\n")[0]
            logger.warning("the service manager could not be told %s: %s", what, error)


def _watchdog(environment: Mapping[str, str]) -> float | None:
    """Half of the time after which the watchdog ends this process, as systemd recommends."""
    # The variables are inherited; the process id says whose they are.
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    micros = environment.get("WATCHDOG_USEC", "")
    if not micros.isascii() or not micros.isdigit() or int(micros) == 0:
        return None
    return int(micros) / 2_000_000
