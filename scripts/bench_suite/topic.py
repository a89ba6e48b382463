"""A topic for measurements, and messages published to it one at a time."""

import json
import time
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from bench_suite import messages
from bench_suite.flood import Flood, ready_made
from bench_suite.gateways import HOST, TOPOLOGY, USERS, user
from bench_suite.load import LoadFailed
from bench_suite.run import Run
from bench_suite.stock import stock
from broker.topology import Audience, Stream
from gateway.messages.publication import publication

#: The room of the peers, who know no rooms.
_ROOM = 1
#: Seconds for the last message to reach the last subscriber.
_ARRIVAL = 120.0
#: Seconds without any progress after which nothing more is expected.
_STALL = 15.0


class Topic(ABC):
    """A topic, as subscribers name it, and the way to publish there.

    ``published`` is the number of the last message.
    """

    topic: str

    def __init__(self, run: Run) -> None:
        self._run = run
        self.published = 0
        self.flood = Flood(run.lab.cluster.nodes[-1], run.lab.cluster.admin)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.flood.__exit__(kind, error, traceback)

    @abstractmethod
    def publish(self) -> None:
        """Publish one message now."""

    @abstractmethod
    def stock(self, count: int) -> list[bytes]:
        """The next ``count`` messages, for `Flood.publish`."""

    def steadily(self, rate: float, seconds: float) -> None:
        """Publish so many messages a second, evenly."""
        started = time.monotonic()
        for index in range(int(rate * seconds)):
            time.sleep(max(0.0, started + index / rate - time.monotonic()))
            self.publish()

    def arrived(self) -> None:
        """Wait until every subscriber has everything. The verdict finds what is missing then."""
        deadline = time.monotonic() + _ARRIVAL
        position, moved = -1, time.monotonic()
        while self._run.load.position < self.published and time.monotonic() < deadline:
            self.flood.confirm(0.01)
            if self._run.load.position != position:
                position, moved = self._run.load.position, time.monotonic()
            elif time.monotonic() - moved > _STALL:
                return


class Source(Topic):
    """A new room's topic: published to through a gateway by POST, else by AMQP."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        room = _ROOM
        self._http = None
        if run.gateway is not None:
            room = run.gateway.room([user(index) for index in range(USERS)])
            self._http = run.gateway.connection()
            self._headers = run.gateway.headers(HOST)
        self.stream = Stream(Audience.PUBLIC, room)
        self.topic = f"/topic/{TOPOLOGY.routing_key(self.stream)}"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        if self._http is not None:
            self._http.close()

    def publish(self) -> None:
        if self._http is None:
            draft = messages.draft(self.stream, HOST).numbered(self.published + 1)
            self.flood.publish([ready_made(publication(draft, TOPOLOGY))])
            self.flood.confirm()
        else:
            body = json.dumps(messages.post(self.stream, HOST))
            path = f"/api/rooms/{self.stream.room}/messages"
            self._http.request("POST", path, body, self._headers)
            response = self._http.getresponse()
            text = response.read()
            if response.status not in (201, 202):
                raise LoadFailed(f"POST was answered {response.status}: {text[:200]!r}")
        self.published += 1

    def stock(self, count: int) -> list[bytes]:
        gateway = self._run.gateway if self._run.row.system == "shared" else None
        return stock(self.stream, HOST, count, first=self.published + 1, gateway=gateway)
