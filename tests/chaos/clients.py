"""Subscribers and hosts that follow the contract: they reconnect, and resume where they were."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.chaos.journal import Journal
from tests.chaos.wire import Frame, Wire

PREFIX = "acdm.mo.interact"
#: Seconds: how often each side says at least something, and how long the other believes it.
_BEAT = 10.0
_BELIEF = 30.0
#: Seconds to connect and subscribe.
_PATIENCE = 20.0
#: Seconds before the next try when nobody has said how long to wait; the latter at most.
_WAIT, _LONGEST_WAIT = 0.2, 3.0
#: The receipt of SUBSCRIBE.
_UP = "up"


@dataclass(frozen=True)
class Place:
    """The gateways (host:port), and the means to log in there."""

    gateways: Sequence[str]
    token: Callable[[str], str] = field(repr=False)


class Client:
    """One user's connection with one subscription, made again whenever it is lost."""

    kind = ""

    def __init__(
        self, who: str, user: str, room: int, *, place: Place, journal: Journal, rng: Random
    ) -> None:
        self.who = who
        self.room = room
        self._user = user
        self._place = place
        self._journal = journal
        self._rng = rng
        self._gateway = rng.randrange(len(place.gateways))
        self._wire: Wire | None = None
        self._gone = asyncio.Event()
        self._up = False
        self._own = False
        self._retry_after: float | None = None
        self._failures = 0
        self._reason = ""

    async def run(self) -> None:
        """Run until it is cancelled."""
        try:
            while True:
                await self._connection()
                await asyncio.sleep(self._wait())
        finally:
            self._own = True
            if self._wire is not None:
                self._wire.abort("the run is over")

    def cut(self) -> None:
        """Let the network fail."""
        if self._wire is not None:
            self._own = True
            self._wire.abort("cut")

    async def stall(self, seconds: float) -> None:
        """Read nothing for a while."""
        if (wire := self._wire) is not None:
            self._note("stall")
            wire.stall()
            await asyncio.sleep(seconds)
            wire.read_on()
            self._note("flow")

    def subscription(self) -> dict[str, str]:
        """The headers of SUBSCRIBE."""
        raise NotImplementedError

    def message(self, frame: Frame, body: dict[str, Any]) -> None:
        """A MESSAGE has been noted."""

    def instant(self, frame: Frame) -> None:
        """A message without a number has come; those have no guarantee."""

    def receipt(self, frame: Frame) -> None:
        """A RECEIPT has come, but not that of SUBSCRIBE."""

    # What the wire tells

    def opened(self) -> None:
        assert self._wire is not None
        self._wire.send(
            "CONNECT",
            {
                "accept-version": "1.2",
                "host": "/",
                "passcode": self._place.token(self._user),
                "heart-beat": f"{_BEAT * 1000:.0f},{_BEAT * 1000:.0f}",
            },
        )

    def frame(self, frame: Frame) -> None:
        match frame.command:
            case "MESSAGE":
                self._message(frame)
            case "CONNECTED":
                assert self._wire is not None
                headers = {"id": "s", "receipt": _UP, **self.subscription()}
                self._wire.send("SUBSCRIBE", headers)
            case "RECEIPT" if frame.headers["receipt-id"] != _UP:
                self.receipt(frame)
            case "RECEIPT":
                self._up = True
                self._failures = 0
                self._note("up", gateway=self._gateway)
            case "ERROR":
                self._reason = f"{frame.headers.get('message')}: {frame.body[:200].decode()}"
                if wait := frame.headers.get("retry-after"):
                    self._retry_after = int(wait) / 1000

    def closed(self, code: int | None, why: str) -> None:
        self._lost(code, self._reason or why)
        self._gone.set()

    # The life of a connection

    async def _connection(self) -> None:
        address = self._place.gateways[self._gateway]
        host, _, port = address.rpartition(":")
        self._gone.clear()
        self._up = self._own = False
        self._retry_after = None
        self._reason = ""
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: self._new_wire(address), host, int(port))
        except OSError as error:
            self._lost(None, str(error))
            return
        wire = self._wire
        assert wire is not None
        began = loop.time()
        while not await self._gone_within(_BEAT / 2):
            wire.beat()
            if not self._up and loop.time() - began > _PATIENCE:
                wire.abort("not subscribed in time")
            elif wire.silence > _BELIEF:
                wire.abort("silent")
        self._wire, self._up = None, False

    def _new_wire(self, address: str) -> Wire:
        self._wire = Wire(address, self)
        return self._wire

    async def _gone_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._gone.wait()
        except TimeoutError:
            return False
        return True

    def _lost(self, code: int | None, why: str) -> None:
        self._note("down", gateway=self._gateway, up=self._up, own=self._own, code=code, why=why)
        self._gateway = (self._gateway + 1) % len(self._place.gateways)

    def _wait(self) -> float:
        if self._retry_after is not None:
            return self._retry_after
        wait: float = min(_LONGEST_WAIT, _WAIT * 2**self._failures)
        self._failures = min(self._failures + 1, 10)
        return wait * self._rng.uniform(0.5, 1.0)

    def _message(self, frame: Frame) -> None:
        headers = frame.headers
        try:
            body = json.loads(frame.body)
            if "seq" not in headers and body["type"] == "presence":
                self.instant(frame)
                return
            told = (body["seq"], body["room"], body["audience"], body["sender"])
            if told != (
                int(headers["seq"]),
                int(headers["room"]),
                headers["audience"],
                headers["sender"],
            ):
                raise ValueError(f"headers {headers} and body {told} differ")
            if headers["subscription"] != "s":
                raise ValueError("another subscription's")
            self._note(
                "message",
                room=body["room"],
                audience=body["audience"],
                seq=body["seq"],
                id=body["id"],
                sent=body["sent_at"],
            )
            self.message(frame, body)
        except (ValueError, KeyError, TypeError) as error:
            self._note("garbled", why=f"{error!r} in {frame.body[:200]!r}")

    def _note(self, what: str, **fields: object) -> None:
        self._journal.note(what, who=self.who, **fields)


class TopicClient(Client):
    """Listens to one stream of a room, from its beginning, by `seq`."""

    def __init__(self, who: str, user: str, room: int, *, audience: str, **rest: Any) -> None:
        super().__init__(who, user, room, **rest)
        self.audience = audience
        self.last = 0
        self._note("client", kind="topic", room=room, audience=audience)

    def subscription(self) -> dict[str, str]:
        return {
            "destination": f"/topic/{PREFIX}.{self.audience}.{self.room}",
            "resume-after": str(self.last),
        }

    def message(self, frame: Frame, body: dict[str, Any]) -> None:
        self.last = max(self.last, body["seq"])


class QueueClient(Client):
    """A host on the room's private queue, acknowledging each message."""

    def __init__(self, who: str, user: str, room: int, **rest: Any) -> None:
        super().__init__(who, user, room, **rest)
        self.heard: set[str] = set()
        self._note("client", kind="queue", room=room)

    def subscription(self) -> dict[str, str]:
        return {
            "destination": f"/queue/{PREFIX}.private.{self.room}",
            "ack": "client-individual",
            "prefetch-count": "50",
        }

    def message(self, frame: Frame, body: dict[str, Any]) -> None:
        self.heard.add(body["id"])
        self._acknowledge(frame)

    def instant(self, frame: Frame) -> None:
        self._acknowledge(frame)

    def _acknowledge(self, frame: Frame) -> None:
        assert self._wire is not None
        self._wire.send(
            "ACK", {"id": frame.headers["ack"].replace("\\", "\\\\").replace(":", "\\c")}
        )
