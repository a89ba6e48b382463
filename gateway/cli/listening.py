"""The doctor's look at the addresses that ``gateway serve`` listens on."""

from __future__ import annotations

import asyncio
import errno
import grp
import os
import socket
import ssl
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, Final

from gateway.cli.findings import Finding
from gateway.config import UNIX, Server
from gateway.http.sockets import Place, listens

#: Seconds for an answer of a gateway that serves already.
_PATIENCE: Final = 2.0
#: What the keys of a listener begin with.
_KEYS: Final = {"public": "server.", "internal": "server.internal_"}


async def listeners(server: Server) -> list[Finding]:
    """Whether both listeners can be opened, or are open, because a gateway serves."""
    found = [
        await asyncio.to_thread(_listener, place, tls=tls)
        for place, tls in (
            (Place.of_public(server), server.tls is not None),
            (Place.of_internal(server), False),
        )
    ]
    if server.address.startswith(UNIX) and UNIX not in server.trusted_proxies:
        found.append(
            Finding(
                "proxies",
                f"server.address is {server.address}, but X-Forwarded-For and X-Forwarded-Proto of"
                " whoever connects there are not believed: all clients count as one",
                f'add "{UNIX}" to server.trusted_proxies',
            )
        )
    return found


def _listener(place: Place, *, tls: bool) -> Finding:
    what = f"{place.name} listener"
    if place.path is not None:
        return _at_path(what, place, place.path)
    keys, address, port = _KEYS[place.name], place.address, place.port
    try:
        names = [_bound(*found) for found in _addresses(address, port)]
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return Finding(
                what,
                f"cannot listen on {place}: {error.strerror}",
                f"set {keys}address to an address of this machine, and {keys}port to one above"
                " 1023, or let the service bind lower ones",
            )
        if _answers(address, port, tls=tls):
            return Finding(f"{what}: a gateway serves at port {port}")
        return Finding(
            what,
            f"port {port} is in use, and no gateway answers there",
            f"end the other program, or choose another {keys}port",
        )
    return Finding(f"{what}: {' and '.join(names)}")


def _at_path(what: str, place: Place, path: Path) -> Finding:
    try:
        if listens(path):
            return Finding(f"{what}: a program listens on {place}")
        if place.group is not None:
            grp.getgrnam(place.group)
    except KeyError:
        return Finding(what, f"there is no group {place.group!r}", "set server.unix_group to one")
    except OSError as error:
        return Finding(
            what,
            f"cannot listen on {place}: {error.strerror}",
            f"remove what is there, or set {_KEYS[place.name]}address to another path",
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return Finding(
            what,
            f"cannot listen on {place}: no socket can be made in {path.parent}",
            "make the folder, and let the gateway's user write there (systemd: RuntimeDirectory=)",
        )
    return Finding(f"{what}: {place}")


def _addresses(address: str, port: int) -> list[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    """The addresses of sockets that :class:`gateway.http.listeners.Listener` opens."""
    host = None if address in ("", "::") else address
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list({(family, sockaddr): None for family, _, _, _, sockaddr in found})


def _bound(family: socket.AddressFamily, address: tuple[Any, ...]) -> str:
    """Bind a socket there for a moment; its name. Raises :class:`OSError`."""
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        trial.bind(address)
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _answers(address: str, port: int, *, tls: bool) -> bool:
    """Whether a gateway answers there."""
    host = "localhost" if address in ("", "0.0.0.0", "::") else address  # noqa: S104 - compared
    connection: HTTPConnection
    if tls:
        # Only whether somebody is there: the certificate has a finding of its own.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = HTTPSConnection(host, port, timeout=_PATIENCE, context=context)
    else:
        connection = HTTPConnection(host, port, timeout=_PATIENCE)
    with closing(connection), suppress(OSError, HTTPException):
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    return False
