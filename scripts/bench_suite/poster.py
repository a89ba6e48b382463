"""HTTP/1.1 clients that POST again and again on persistent connections."""

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(frozen=True)
class Target:
    """The address and bodies of the posts. ``headers``: one set for each connection, in turn."""

    port: int
    path: str
    headers: Sequence[str] = field(repr=False)
    authority: Path | None = None


@dataclass
class Posted:
    """The result of a series of POSTs.

    ``answers``: status → how many; ``delays`` of each in nanoseconds; ``seqs`` that were told;
    ``seconds`` from the first request to the last answer.
    """

    seconds: float = 0.0
    answers: dict[int, int] = field(default_factory=dict)
    delays: list[int] = field(default_factory=list)
    seqs: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


async def post(
    target: Target, connections: int, seconds: float, body: Callable[[], bytes]
) -> Posted:
    """Each connection posts again as soon as it is answered, for so many seconds."""
    posted = Posted()
    context = ssl.create_default_context(cafile=str(target.authority)) if target.authority else None
    loop = asyncio.get_running_loop()
    started = time.monotonic()
    posters = [
        _Poster(
            target, target.headers[index % len(target.headers)], body, posted, started + seconds
        )
        for index in range(connections)
    ]
    for poster in posters:
        await loop.create_connection(
            lambda poster=poster: poster,
            "127.0.0.1",
            target.port,
            ssl=context,
        )
    await asyncio.gather(*(poster.done for poster in posters))
    posted.seconds = time.monotonic() - started
    return posted


class _Poster(asyncio.Protocol):
    def __init__(
        self, target: Target, header: str, body: Callable[[], bytes], posted: Posted, until: float
    ) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._head = (
            f"POST {target.path} HTTP/1.1\r\nHost: 127.0.0.1:{target.port}\r\n"
            f"Content-Type: application/json\r\n{header}"
        ).encode()
        self._body = body
        self._posted = posted
        self._until = until
        self._received = b""
        self._asked = 0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, rest = self._received.partition(_HEAD_END)
        if not end:
            return
        lower = head.lower()
        begin = lower.find(_LENGTH) + len(_LENGTH)
        length = int(lower[begin:].partition(b"\r")[0]) if begin >= len(_LENGTH) else 0
        if len(rest) < length:
            return
        self._received = b""
        self._answered(int(head[9:12]), rest)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self._posted.failures.append(str(exc or "the connection was closed"))
            self.done.set_result(None)

    def _ask(self) -> None:
        self._asked = time.monotonic_ns()
        body = self._body()
        self._transport.write(b"%sContent-Length: %d\r\n\r\n%s" % (self._head, len(body), body))

    def _answered(self, status: int, body: bytes) -> None:
        posted = self._posted
        posted.delays.append(time.monotonic_ns() - self._asked)
        posted.answers[status] = posted.answers.get(status, 0) + 1
        if status in (201, 202):
            posted.seqs.append(json.loads(body)["seq"])
        if time.monotonic() < self._until:
            self._ask()
        else:
            self.done.set_result(None)
            self._transport.close()
