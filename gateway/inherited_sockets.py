"""Sockets that a service manager has opened before it started this process: systemd's socket
activation.

https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterable, MutableMapping
from typing import Final

from gateway.config import StartError

#: SD_LISTEN_FDS_START
_FIRST: Final = 3
_VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


class InheritedSockets:
    """The sockets by their names (``FileDescriptorName=``), each of which is asked for once.

    ``environment`` is the process's; its variables about them are taken out, as for
    ``sd_listen_fds(1)``: no process that is started later may believe them. A single socket without
    one of the ``known`` names is the first of these. Raises :class:`StartError`.
    """

    def __init__(self, environment: MutableMapping[str, str], known: Iterable[str]) -> None:
        names = list(known)
        self._sockets: dict[str, list[socket.socket]] = {}
        given = _given(environment)
        for descriptor, given_name in given:
            name = given_name
            if name not in names:
                if len(given) > 1:
                    raise StartError(
                        f"the service manager passed a socket called {name!r}: set"
                        f" FileDescriptorName= of each to one of {', '.join(names)}"
                    )
                name = names[0]
            self._sockets.setdefault(name, []).append(_listening(descriptor, name))

    def take(self, name: str) -> list[socket.socket]:
        """The sockets of this name; empty: none were passed."""
        return self._sockets.pop(name, [])

    def close(self) -> None:
        """Close those that nobody has taken."""
        for name in list(self._sockets):
            for each in self.take(name):
                each.close()


def _given(environment: MutableMapping[str, str]) -> list[tuple[int, str]]:
    pid, count, names = (environment.pop(variable, "") for variable in _VARIABLES)
    # The variables are inherited; the process id says whose they are.
    if pid != str(os.getpid()):
        return []
    if not (count.isascii() and count.isdigit()):
        raise StartError(f"$LISTEN_FDS must be a number, and is {count!r}")
    descriptors = range(_FIRST, _FIRST + int(count))
    for descriptor in descriptors:
        try:
            flags = fcntl.fcntl(descriptor, fcntl.F_GETFD)
            fcntl.fcntl(descriptor, fcntl.F_SETFD, flags | fcntl.FD_CLOEXEC)
        except OSError as error:
            raise StartError(
                f"$LISTEN_FDS is {count}, but descriptor {descriptor} is not open"
            ) from error
    # As systemd calls those without a name.
    called = names.split(":") if names else []
    called += ["unknown"] * (len(descriptors) - len(called))
    return list(zip(descriptors, called, strict=False))


def _listening(descriptor: int, name: str) -> socket.socket:
    try:
        found = socket.socket(fileno=descriptor)
        listens = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise StartError(
            f"descriptor {descriptor} ({name}), passed by the service manager, is no socket"
        ) from error
    families = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
    if not listens or found.type != socket.SOCK_STREAM or found.family not in families:
        raise StartError(
            f"descriptor {descriptor} ({name}), passed by the service manager, is no stream socket"
            " that listens: use ListenStream= and Accept=no"
        )
    found.setblocking(False)
    return found
