"""Posting at a steady rate, each message until it is answered, always with the same id."""

import asyncio
import json
import time
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

from tests.chaos.clients import Place
from tests.chaos.journal import Journal

_TIMEOUT = 15.0
_WAIT, _LONGEST_WAIT = 0.2, 3.0
#: Characters of most bodies, and of one in so many.
_SMALL, _LARGE, _LARGE_EVERY = 100, 20_000, 50


@dataclass(frozen=True)
class Answer:
    """The answer to a POST.

    `status` is None when none came.
    """

    status: int | None
    json: Any
    retry_after: float | None = None


class Poster:
    """A member of a room, behind a load balancer without sticky sessions."""

    def __init__(
        self, user: str, room: int, *, place: Place, journal: Journal, rng: Random
    ) -> None:
        self._user = user
        self._room = room
        self._place = place
        self._journal = journal
        self._rng = rng
        self._posts: set[asyncio.Task[None]] = set()

    async def run(self, interval: float, stop: asyncio.Event) -> None:
        """A message every `interval` seconds, whether or not earlier ones are answered; returns
        when all are, after `stop`."""
        due = time.monotonic() + self._rng.uniform(0, interval)
        while not stop.is_set():
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            post = asyncio.create_task(self._post_until_answered())
            self._posts.add(post)
            post.add_done_callback(self._done)
            due += interval
        await asyncio.gather(*self._posts)

    def _done(self, post: asyncio.Task[None]) -> None:
        self._posts.discard(post)
        post.result()

    async def _post_until_answered(self) -> None:
        rng = self._rng
        id = str(UUID(int=rng.getrandbits(128), version=4))
        audience = rng.choice(("public", "public", "private"))
        text = "x" * (_LARGE if rng.randrange(_LARGE_EVERY) == 0 else _SMALL)
        message = {"id": id, "audience": audience, "type": "chat", "body": {"text": text}}
        wait = _WAIT
        gateway = rng.randrange(len(self._place.gateways))
        while True:
            self._journal.note(
                "attempt", id=id, room=self._room, audience=audience, gateway=gateway
            )
            began = time.monotonic()
            answer = await call(
                self._place.gateways[gateway],
                "POST",
                f"/api/rooms/{self._room}/messages",
                token=self._place.token(self._user),
                body=message,
            )
            self._journal.note(
                "answer",
                id=id,
                gateway=gateway,
                status=answer.status,
                seq=answer.json.get("seq") if answer.status in (201, 202) else None,
                why=None if answer.status in (201, 202) else str(answer.json)[:300],
                took=time.monotonic() - began,
            )
            if answer.status in (201, 202):
                return
            gateway = (gateway + 1) % len(self._place.gateways)
            await asyncio.sleep((answer.retry_after or wait) * rng.uniform(1.0, 1.5))
            wait = min(2 * wait, _LONGEST_WAIT)


async def call(address: str, method: str, path: str, *, token: str, body: object = None) -> Answer:
    """One HTTP request on a connection of its own."""
    try:
        async with asyncio.timeout(_TIMEOUT):
            return await _call(address, method, path, token, body)
    except (OSError, EOFError, TimeoutError) as error:
        return Answer(None, repr(error))


async def _call(address: str, method: str, path: str, token: str, body: object) -> Answer:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        content = b"" if body is None else json.dumps(body).encode()
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {address}",
            f"Authorization: Bearer {token}",
            "Content-Type: application/json",
            f"Content-Length: {len(content)}",
            "Connection: close",
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:])
        }
        # 204 has none.
        text = await reader.readexactly(int(fields.get("content-length", 0)))
    finally:
        writer.transport.abort()
    retry_after = fields.get("retry-after")
    return Answer(
        int(head[0].split()[1]),
        json.loads(text) if text else None,
        float(retry_after) if retry_after else None,
    )
