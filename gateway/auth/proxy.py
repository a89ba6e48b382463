"""Connections through an HTTP proxy (CONNECT, RFC 9110, section 9.3.6)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from base64 import b64encode
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from tornado.iostream import IOStream, StreamClosedError, UnsatisfiableReadError
from tornado.tcpclient import TCPClient

#: Bytes of the proxy's answer.
_HEAD: Final = 16 * 1024


class ThroughProxy(TCPClient):
    """Tornado's TCP client, whose connections are tunnels of the proxy at ``url``. ``login``: user
    and password (RFC 7617)."""

    def __init__(self, url: str, *, login: tuple[str, str] | None = None) -> None:
        super().__init__()
        parts = urlsplit(url)
        self._address = parts.hostname or "", parts.port or 80
        self._login = login

    async def connect(  # noqa: PLR0913, PLR0917 - the signature is Tornado's
        self,
        host: str,
        port: int,
        af: socket.AddressFamily = socket.AF_UNSPEC,
        ssl_options: dict[str, Any] | ssl.SSLContext | None = None,
        max_buffer_size: int | None = None,
        source_ip: str | None = None,
        source_port: int | None = None,
        timeout: float | timedelta | None = None,  # noqa: ASYNC109 - the signature is Tornado's
    ) -> IOStream:
        """Raises ``OSError`` (among them ``TimeoutError``), also if the proxy refuses."""
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        async with asyncio.timeout(seconds):
            stream = await super().connect(
                *self._address, af=af, max_buffer_size=max_buffer_size, timeout=seconds
            )
            try:
                await self._tunnel(stream, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
                if ssl_options is None:
                    return stream
                secure = stream.start_tls(False, ssl_options, server_hostname=host)
            except BaseException:
                stream.close()
                raise
            # The socket belongs to another stream now, which closes it if the handshake fails.
            return await secure

    async def _tunnel(self, stream: IOStream, authority: str) -> None:
        head = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n"
        if self._login is not None:
            word = b64encode(":".join(self._login).encode()).decode()
            head += f"Proxy-Authorization: Basic {word}\r\n"
        try:
            await stream.write(f"{head}\r\n".encode())
            answer = await stream.read_until(b"\r\n\r\n", max_bytes=_HEAD)
        except (StreamClosedError, UnsatisfiableReadError) as error:
            raise OSError("the proxy does not answer a CONNECT as it should") from error
        version, _, rest = answer.decode("latin-1").partition(" ")
        if not version.startswith("HTTP/1.") or not rest.startswith("2"):
            shown = "".join(c for c in rest.partition("\r\n")[0][:60] if c.isprintable())
            raise OSError(f"the proxy refuses: {shown}")
