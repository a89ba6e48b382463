"""The sockets of a listener: on addresses and ports, at a path of the file system, or inherited."""

from __future__ import annotations

import fcntl
import grp
import os
import socket
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tornado.netutil import bind_sockets

from gateway.config import UNIX, Server, StartError

#: Connections that wait to be accepted: a whole school that comes back at once. The kernel may
#: allow fewer (net.core.somaxconn).
_BACKLOG: Final = 4096


#: The names of a gateway's places.
PLACES: Final = ("public", "internal")


@dataclass(frozen=True, slots=True)
class Place:
    """The place where a listener listens. ``what`` names its keys, ``name`` it is among the sockets
    of a service manager.

    ``address`` is one of this machine, empty or ``::`` for all of them, or ``unix:`` and a path,
    whose file gets this ``mode`` and ``group``.
    """

    what: str
    name: str
    address: str
    port: int
    mode: int = 0o660
    group: str | None = None

    @classmethod
    def of_public(cls, server: Server) -> Place:
        what = "server.address and port"
        return cls(
            what, "public", server.address, server.port, int(server.unix_mode, 8), server.unix_group
        )

    @classmethod
    def of_internal(cls, server: Server) -> Place:
        what = "server.internal_address and internal_port"
        address, port = server.internal_address, server.internal_port
        return cls(what, "internal", address, port, int(server.unix_mode, 8), server.unix_group)

    @property
    def path(self) -> Path | None:
        """The path of its socket in the file system, if it has one."""
        return Path(self.address[len(UNIX) :]) if self.address.startswith(UNIX) else None

    def __str__(self) -> str:
        if self.path is not None:
            return self.address
        return f"{self.address or 'every address'}, port {self.port}"


@dataclass(slots=True)
class Sockets:
    """Sockets that listen. Those of a service manager have no file of ours."""

    opened: Sequence[socket.socket]
    _path: Path | None = None

    def forget_file(self) -> None:
        """Remove the file of the socket, which is closed, unless another program listens there by
        now: a file's number says nothing, because a new file may get that of one just removed."""
        if self._path is None:
            return
        with suppress(OSError), _alone_in(self._path.parent):
            if not listens(self._path):
                self._path.unlink(missing_ok=True)


def opened(place: Place) -> Sockets:
    """Sockets that listen there. Raises :class:`StartError`."""
    path = place.path
    try:
        if path is not None:
            return Sockets([_at_path(path, place)], path)
        every = place.address in ("", "::")
        return Sockets(bind_sockets(place.port, None if every else place.address, backlog=_BACKLOG))
    except KeyError:
        raise StartError(f"server.unix_group: there is no group {place.group!r}") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StartError(f"{place.what}: cannot listen on {place}: {reason}") from error


def name(listening: socket.socket) -> str:
    """A socket's address as it is written."""
    address = listening.getsockname()
    if isinstance(address, tuple):
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"{UNIX}{address}"


def listens(path: Path) -> bool:
    """Whether somebody listens there. Raises :class:`OSError` where there is another file."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(0, "there is a file that is no socket")
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX) as trial:
        # A queue that is full would let it wait.
        trial.setblocking(False)
        try:
            trial.connect(str(path))
        except ConnectionRefusedError:
            return False
        except BlockingIOError:
            return True
    return True


def _at_path(path: Path, place: Place) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX)
    try:
        with _alone_in(path.parent):
            if listens(path):
                raise FileExistsError(0, "another program listens there")
            group = -1 if place.group is None else grp.getgrnam(place.group).gr_gid
            path.unlink(missing_ok=True)
            listening.bind(str(path))
            try:
                # Nobody can connect until it listens.
                path.chmod(place.mode)
                os.chown(path, -1, group)
                listening.setblocking(False)
                listening.listen(_BACKLOG)
            except OSError:
                path.unlink()
                raise
    except BaseException:
        listening.close()
        raise
    return listening


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Nobody else who asks looks at the folder's sockets meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
