"""One run: clients and posters in rooms, faults by schedule, then everything read back."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

from tests.acceptance.gateway_process import GatewayProcess
from tests.chaos.checker import Row, Stream
from tests.chaos.clients import Client, Place, QueueClient, TopicClient
from tests.chaos.crowd import Crowd, Members, crowd
from tests.chaos.journal import Journal
from tests.chaos.leaver import Leaver
from tests.chaos.poster import Poster, call
from tests.chaos.schedule import Fault, Kind
from tests.chaos.speaker import Speaker
from tests.chaos.stage import Stage
from tests.chaos.watch import Watch

#: Seconds: how often the machine's own pauses are measured, and from where on they are noted.
_TICK, _LATE = 0.1, 0.05
_DAY = 86_400.0
_PAGE = 500
#: The users of a crowd's sockets, and those of them who host a room of their own.
_PASSERS, _PASSING_HOSTS = 400, 40
#: Seconds: for everybody to be there before the crowd comes, for the gateway to notice that it has
#: left (a half-open WebSocket is found by the next ping), and between two looks at it.
_BEFORE_THE_CROWD, _AFTER_THE_CROWD, _CROWD_LOOK = 20.0, 30.0, 5.0
_OF_CLIENTS = (Kind.CUT_CLIENTS, Kind.STALL_READERS)


@dataclass(frozen=True, slots=True)
class Cast:
    """The numbers of participants; `rate` is messages a second of everybody together.

    Each room has one that posts and, with `speakers`, one that speaks by SEND: while the database
    is away, STOMP refuses by closing. In the first `leavers` rooms somebody comes and is removed,
    again and again. `begin`: seconds before the first fault; `settle`: seconds at the end in which
    everything must have arrived. `sockets` come and go beside all others.
    """

    rooms: int
    subscribers: int
    rate: float
    settle: float = 120.0
    begin: float = 5.0
    speakers: bool = False
    sockets: int = 0
    leavers: int = 2


class Performance:
    """Rooms with their clients and posters, at gateways that are ready."""

    def __init__(
        self,
        cast: Cast,
        gateways: Sequence[GatewayProcess],
        stage: Stage,
        journal: Journal,
        seed: int,
    ) -> None:
        self._cast = cast
        self._stage = stage
        self._journal = journal
        self._rng = Random(seed)  # noqa: S311 - it is to be repeatable
        tokens: dict[str, str] = {}

        def token(user: str) -> str:
            if user not in tokens:
                tokens[user] = gateways[0].token(user, lifetime=_DAY)
            return tokens[user]

        self._place = Place([f"127.0.0.1:{gateway.port}" for gateway in gateways], token)
        self._rooms: dict[int, str] = {}
        self._topics: list[TopicClient] = []
        self._queues: list[QueueClient] = []
        self._posters: list[Poster] = []
        self._speakers: list[Speaker] = []
        self._leavers: list[Leaver] = []
        self._watch = Watch(gateways, stage.cluster, journal)
        self._passers = [f"passer{number}" for number in range(_PASSERS if cast.sockets else 0)]
        for number in range(cast.rooms):
            self._open_room(gateways[number % len(gateways)], number)
        self._members = Members(
            self._place.gateways,
            {user: token(user) for user in self._passers},
            list(self._rooms),
            {
                user: gateways[0].room(user, *(each for each in self._passers if each != user))
                for user in self._passers[:_PASSING_HOSTS]
            },
        )

    async def run(self, faults: Iterable[Fault]) -> dict[Stream, list[Row]]:
        """Returns the history, read when everybody has everything, or after `Cast.settle`."""
        stop = asyncio.Event()
        interval = (len(self._posters) + len(self._speakers)) / self._cast.rate
        clients = [
            asyncio.create_task(client.run()) for client in (*self._clients, *self._speakers)
        ]
        clients += [asyncio.create_task(leaver.run()) for leaver in self._leavers]
        clocks = [asyncio.create_task(self._measure_lag()), asyncio.create_task(self._watch.run())]
        posters = [
            *(asyncio.create_task(poster.run(interval, stop)) for poster in self._posters),
            *(asyncio.create_task(speaker.speak(interval, stop)) for speaker in self._speakers),
        ]
        try:
            async with self._crowd():
                await asyncio.sleep(self._cast.begin)
                for number, fault in enumerate(faults):
                    await self._suffer(number, fault)
                    for task in (*clocks, *clients, *posters):
                        if task.done():
                            task.result()
                    await asyncio.sleep(fault.calm)
            stop.set()
            await asyncio.gather(*posters)
            history = await self._history()
            await self._settled(history)
        finally:
            for task in (*clocks, *clients, *posters):
                task.cancel()
            await asyncio.gather(*clocks, *clients, *posters, return_exceptions=True)
        return history

    @asynccontextmanager
    async def _crowd(self) -> AsyncIterator[None]:
        """The sockets that come and go, if there are any; noted from time to time."""
        if not self._cast.sockets:
            yield
            return
        await asyncio.sleep(_BEFORE_THE_CROWD)
        await self._watch.sample()
        with crowd(self._members, self._cast.sockets, self._rng.randrange(1 << 32)) as passing:
            looking = asyncio.create_task(self._look_at(passing))
            try:
                yield
            finally:
                looking.cancel()
        await asyncio.sleep(_AFTER_THE_CROWD)

    async def _look_at(self, passing: Crowd) -> None:
        while True:
            self._journal.note("crowd", **asdict(passing.look()))
            await asyncio.sleep(_CROWD_LOOK)

    @property
    def _clients(self) -> list[Client]:
        """The clients that may be cut and stalled."""
        return [*self._topics, *self._queues]

    def _open_room(self, gateway: GatewayProcess, number: int) -> None:
        host, poster, speaker = f"host{number}", f"poster{number}", f"speaker{number}"
        share = self._cast.subscribers // self._cast.rooms
        subscribers = [f"r{number}s{index}" for index in range(share)]
        room = gateway.room(host, poster, speaker, *subscribers, *self._passers)
        self._rooms[room] = host
        rest: dict[str, Any] = {"place": self._place, "journal": self._journal}
        for who in subscribers:
            rng = Random(self._rng.random())  # noqa: S311 - jitter
            self._topics.append(TopicClient(who, who, room, audience="public", rng=rng, **rest))
        rng = Random(self._rng.random())  # noqa: S311 - jitter
        self._topics.append(
            TopicClient(f"{host}-topic", host, room, audience="private", rng=rng, **rest)
        )
        self._queues.append(QueueClient(f"{host}-queue", host, room, rng=rng, **rest))
        self._posters.append(Poster(poster, room, rng=rng, **rest))
        if number < self._cast.leavers:
            rng = Random(self._rng.random())  # noqa: S311 - jitter
            self._leavers.append(Leaver(f"leaver{number}", host, room, rng=rng, **rest))
        if self._cast.speakers:
            rng = Random(self._rng.random())  # noqa: S311 - jitter
            self._speakers.append(Speaker(speaker, speaker, room, rng=rng, **rest))

    async def _suffer(self, number: int, fault: Fault) -> None:
        if fault.kind not in _OF_CLIENTS:
            await self._stage.suffer(number, fault)
            return
        chosen = self._rng.sample(self._clients, min(fault.target, len(self._clients)))
        what: dict[str, Any] = {"fault": number, "kind": fault.kind, "target": fault.target}
        self._journal.note("begin", **what)
        if fault.kind is Kind.CUT_CLIENTS:
            for client in chosen:
                client.cut()
        else:
            await asyncio.gather(*(client.stall(fault.seconds) for client in chosen))
        self._journal.note("recovered", **what)

    async def _measure_lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _TICK
            await asyncio.sleep(_TICK)
            if (late := loop.time() - due) > _LATE:
                self._journal.note("lag", late=late)

    async def _settled(self, history: Mapping[Stream, Sequence[Row]]) -> None:
        """Give the clients time to receive everything; the checker judges whether they have."""
        heads = {stream: len(rows) for stream, rows in history.items()}
        in_room: dict[int, set[str]] = defaultdict(set)
        for stream, rows in history.items():
            in_room[stream.room].update(row.id for row in rows)
        for _ in range(int(self._cast.settle)):
            unpublished = await self._watch.sample()
            arrived = all(
                client.last >= heads[Stream(client.room, client.audience)]
                for client in (*self._topics, *self._speakers)
            ) and all(client.heard >= in_room[client.room] for client in self._queues)
            if arrived and not unpublished:
                break
            await asyncio.sleep(1)
        # For what comes although nothing is left to come.
        await asyncio.sleep(2)

    async def _history(self) -> dict[Stream, list[Row]]:
        return {
            Stream(room, audience): await self._read(room, audience, self._place.token(host))
            for room, host in self._rooms.items()
            for audience in ("public", "private")
        }

    async def _read(self, room: int, audience: str, token: str) -> list[Row]:
        rows: list[Row] = []
        while True:
            after = rows[-1].seq if rows else 0
            path = f"/api/rooms/{room}/messages?audience={audience}&after={after}&limit={_PAGE}"
            answer = await call(self._place.gateways[0], "GET", path, token=token)
            if answer.status != 200 or not answer.json["complete"]:
                raise RuntimeError(f"the history cannot be read: {answer}")
            rows += [Row(message["seq"], message["id"]) for message in answer.json["messages"]]
            if not answer.json["messages"] or rows[-1].seq >= answer.json["head"]:
                return rows
