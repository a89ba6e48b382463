"""An HTTP/1.1 client on one persistent connection, which also sends what is no good request."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from flood_suite.site import Site

#: Bytes after which a body in chunks is not kept any more: nobody looks at it.
_KEPT = 1 << 16


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The status, with the code of a problem document."""
        if self.headers.get("content-type", "").startswith("application/problem+json"):
            return f"{self.status} {json.loads(self.body).get('code', '')}"
        return str(self.status)


class Http:
    """One connection. Raises `OSError` and `EOFError` (of which IncompleteReadError is one)."""

    def __init__(
        self, site: Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._site = site
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, site: Site) -> Self:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port, ssl=site.context)
        return cls(site, reader, writer)

    async def ask(
        self, method: str, path: str, *lines: str, token: str = "", body: Any = None
    ) -> Answer:
        """One request, and its answer."""
        self.send(method, path, *lines, token=token, body=body)
        return await self.answer()

    def send(self, method: str, path: str, *lines: str, token: str = "", body: Any = None) -> None:
        """Send a request, with further header lines; ``body`` as it is if it is bytes, else as
        JSON."""
        content = b"" if body is None else body if isinstance(body, bytes) else _json(body)
        length = f"Content-Length: {len(content)}"
        self.writer.write(self.head(method, path, token, length, *lines))
        self.writer.write(content)

    def head(self, method: str, path: str, token: str, *lines: str) -> bytes:
        """A request's head, with further header lines."""
        all_lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {self._site.host}",
            *([f"Authorization: Bearer {token}"] if token else []),
            "Content-Type: application/json",
            *lines,
        ]
        return "\r\n".join([*all_lines, "", ""]).encode()

    async def answer(self) -> Answer:
        """The next answer."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:])
        }
        if fields.get("transfer-encoding") == "chunked":
            body = await self._chunks()
        else:
            body = await self.reader.readexactly(int(fields.get("content-length", 0)))
        return Answer(int(head[0].split()[1]), fields, body)

    async def _chunks(self) -> bytes:
        """A body in chunks (RFC 9112, section 7.1). Those of a large one are dropped."""
        body = b""
        while size := int(await self.reader.readline(), 16):
            chunk = await self.reader.readexactly(size + 2)
            body = body if len(body) > _KEPT else body + chunk[:-2]
        await self.reader.readline()
        return body

    def stop_reading(self) -> None:
        """Leave in the system what comes, so that the gateway cannot send on."""
        self.writer.transport.pause_reading()  # type: ignore[attr-defined]

    def close(self) -> None:
        self.writer.transport.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.close()


class Persistent:
    """A connection that stays, and is made anew for the next request after it was lost."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._http: Http | None = None

    async def ask(
        self, method: str, path: str, *lines: str, token: str = "", body: Any = None
    ) -> Answer:
        """One request, and its answer."""
        if self._http is None:
            self._http = await Http.open(self._site)
        try:
            return await self._http.ask(method, path, *lines, token=token, body=body)
        except BaseException:
            self._http.close()
            self._http = None
            raise


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
