"""The doctor's look at the addresses that ``gateway serve`` listens on."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final

from gateway.cli.findings import Finding
from gateway.config import Server

#: Seconds for an answer of a gateway that serves already.
_PATIENCE: Final = 2.0


async def listeners(server: Server) -> list[Finding]:
    """Whether both listeners can be opened, or are open, because a gateway serves."""
    public = ("public listener", server.address, server.port, server.tls is not None)
    internal = ("internal listener", server.internal_address, server.internal_port, False)
    return [
        await asyncio.to_thread(_listener, what, address, port, tls=tls)
        for what, address, port, tls in (public, internal)
    ]


def _listener(what: str, address: str, port: int, *, tls: bool) -> Finding:
    keys = "server.internal_" if what.startswith("internal") else "server."
    try:
        names = [_bound(*found) for found in _addresses(address, port)]
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return Finding(
                what,
                f"cannot listen on {address or 'every address'}, port {port}: {error.strerror}",
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
