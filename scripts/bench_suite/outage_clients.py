"""The clients of the outage scenarios: one posts steadily, others note when messages arrive."""

import asyncio
import json
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from uuid import uuid4

from bench_suite.frames import FrameReader
from bench_suite.subscriber import MASK, Client, Subscriber
from broker.protocol.stomp import serialise
from broker.protocol.websocket import Opcode, build

#: Seconds between two posts; every second one is instant.
INTERVAL = 0.025
_BUFFER = 1 << 16


class Witness(Subscriber):
    """A subscriber that notes when each message arrives for the first time.

    ``arrived``: seconds of the monotonic clock, by the message's id. If it acknowledges, then all
    but the very first message: a host has always something that is not handled yet.
    """

    def __init__(self, client: Client) -> None:
        self.arrived: dict[str, float] = {}
        self._frames = FrameReader(message=self._message, other=self._frame)
        super().__init__(client, self, buffer=memoryview(bytearray(_BUFFER)))

    def feed(self, chunk: bytes | memoryview) -> None:
        self._frames.feed(chunk)

    def _message(self, payload: bytes) -> None:
        head, _, body = payload.partition(b"\n\n")
        message = json.loads(body.rstrip(b"\0\n"))["id"]
        first = not self.arrived
        self.arrived.setdefault(message, time.monotonic())
        if self.client.acknowledge and not first:
            begin = head.index(b"\nack:") + 5
            name = head[begin:].partition(b"\n")[0].decode()
            self._transport.write(build(Opcode.TEXT, serialise("ACK", [("id", name)]), mask=MASK))


@dataclass
class Posts:
    """The accepted posts of a round, by message id: when each began, on the monotonic clock.

    ``slowest``: seconds until the latest answer; ``refused``: answers other than 201 and 202.
    """

    guaranteed: dict[str, float] = field(default_factory=dict)
    instant: dict[str, float] = field(default_factory=dict)
    slowest: float = 0.0
    refused: list[str] = field(default_factory=list)


class SteadyPoster:
    """Posts to one room every :data:`INTERVAL`, whether or not earlier posts are answered."""

    def __init__(self, port: int, path: str, headers: Mapping[str, str]) -> None:
        self.posts = Posts()
        self._port = port
        self._head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
        self._head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._going = True

    async def run(self) -> None:
        """Until :meth:`stop`, and until all are answered."""
        async with asyncio.TaskGroup() as group:
            instant = False
            while self._going:
                group.create_task(self._post(instant=instant))
                instant = not instant
                await asyncio.sleep(INTERVAL)

    def stop(self) -> None:
        self._going = False

    async def _post(self, *, instant: bool) -> None:
        message, began = str(uuid4()), time.monotonic()
        kind = self.posts.instant if instant else self.posts.guaranteed
        importance = "instant" if instant else "guaranteed"
        given = {"id": message, "audience": "public", "type": "chat", "body": "still there?"}
        body = json.dumps(given | {"importance": importance})
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(f"{self._head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            answer = await reader.read()
        finally:
            writer.close()
        self.posts.slowest = max(self.posts.slowest, time.monotonic() - began)
        if answer[9:12] in (b"201", b"202"):
            kind[message] = began
        else:
            self.posts.refused.append(answer[9:12].decode())


def longest_silence(arrived: Mapping[str, float], wanted: Iterable[str], *, since: float) -> float:
    """The longest time between two arrivals of ``wanted`` messages, of which the later one was
    after ``since``; in seconds, infinite if there was none."""
    times = sorted(arrived[each] for each in wanted if each in arrived)
    gaps = [later - max(before, since) for before, later in pairwise(times) if later > since]
    return max(gaps, default=math.inf)
