"""A process of the load generator: an event loop full of clients, controlled by a pipe."""

import asyncio
import ctypes
import json
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import uvloop

from bench_suite import messages
from bench_suite.bare_publisher import publish
from bench_suite.follower import Follower
from bench_suite.journal import Journal
from bench_suite.poster import Target, post
from bench_suite.subscriber import Client, Subscriber
from bench_suite.talker import Member, Talker, talk
from broker.topology import Stream

#: Bytes that are read at once.
_BUFFER = 1 << 18
#: Seconds that one client may take to be subscribed.
_CLIENT_TIMEOUT = 120.0
#: Seconds between two looks at how far the slowest subscriber is.
_LOOK = 0.005
_TOLD = 5
#: Members of rooms that connect at the same time.
_AT_ONCE = 50


@dataclass(frozen=True)
class Connect:
    """The command to connect clients and subscribe them."""

    clients: Sequence[Client]
    at_once: int
    first: int
    authority: Path | None


@dataclass(frozen=True)
class Connected:
    """The answer to `Connect`: how it went."""

    ready: int
    failures: list[str]
    seconds: float = 0.0


@dataclass(frozen=True)
class Watch:
    """The command to begin or end the keeping of delays."""

    on: bool


@dataclass(frozen=True)
class Report:
    """The command to report what the subscribers have received."""

    first: int
    last: int


@dataclass
class Reported:
    """The answer to `Report`."""

    deliveries: int = 0
    faults: int = 0
    told: list[str] = field(default_factory=list)
    delays: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Close:
    """The command to close all connections."""


@dataclass(frozen=True)
class Post:
    """The command to POST over and over."""

    target: Target
    connections: int
    seconds: float
    stream: Stream


@dataclass(frozen=True)
class Publish:
    """The command to publish by AMQP over and over."""

    url: str = field(repr=False)
    at_once: int
    seconds: float


@dataclass(frozen=True)
class Gather:
    """The command to connect the members of rooms."""

    members: Sequence[Member]
    authority: Path | None


@dataclass(frozen=True)
class Talk:
    """The command to let the members speak."""

    seconds: float


Command = Gather | Talk | Connect | Watch | Report | Close | Post | Publish


def serve(pipe: Pipe, position: "ctypes.c_longlong") -> None:
    """Carry out commands from the pipe until it is closed."""
    uvloop.run(Crowd(position).serve(pipe))


def _received(pipe: Pipe) -> Command | None:
    """The next command; None at the end."""
    try:
        command: Command = pipe.recv()
    except EOFError:
        return None
    return command


def _body(stream: Stream) -> bytes:
    return json.dumps(messages.post(stream, "user")).encode()


class Crowd:
    """The clients of one worker process.

    ``position`` is shared with the process that asks: how far the slowest subscriber is.
    """

    def __init__(self, position: "ctypes.c_longlong") -> None:
        self._position = position
        self._followers: list[Follower] = []
        self._talkers: list[Talker] = []
        self._journals: dict[str, Journal] = {}
        self._buffer = memoryview(bytearray(_BUFFER))

    async def serve(self, pipe: Pipe) -> None:
        looking = asyncio.create_task(self._look())
        while (command := await asyncio.to_thread(_received, pipe)) is not None:
            try:
                answer = await self._do(command)
            except Exception as error:  # the asking process says it and stops
                pipe.send(error)
            else:
                pipe.send(answer)
        looking.cancel()

    async def _look(self) -> None:
        while True:
            # Some hundred microseconds for 500 subscribers.
            listening = [each for each in self._followers if each.client.subscribe]
            if listening:
                self._position.value = min(each.reader.last for each in listening)
            await asyncio.sleep(_LOOK)

    async def _do(self, command: Command) -> object:
        match command:
            case Connect():
                self._followers = [self._follower(each, command.first) for each in command.clients]
                connected = await self._connect(self._followers, command.at_once, command.authority)
                # Who did not get in has been told of; the others have to stay.
                self._followers = [each for each in self._followers if each.joined]
                return connected
            case Watch(on):
                for follower in self._followers:
                    follower.delays = [] if on else None
                return None
            case Report():
                return self._report(command)
            case Close():
                self._close()
                return None
            case _:
                return await self._speak(command)

    async def _speak(self, command: Gather | Talk | Post | Publish) -> object:
        match command:
            case Gather(members, authority):
                self._talkers = [Talker(member, buffer=self._buffer) for member in members]
                return await self._connect(self._talkers, _AT_ONCE, authority)
            case Talk(seconds):
                return await talk(self._talkers, seconds)
            case Post(target, connections, seconds, stream):
                return await post(target, connections, seconds, lambda: _body(stream))
            case Publish(url, at_once, seconds):
                return await publish(url, at_once, seconds)

    def _close(self) -> None:
        for subscriber in (*self._followers, *self._talkers):
            subscriber.close()
        self._followers.clear()
        self._talkers.clear()
        self._journals.clear()
        self._position.value = 0

    def _follower(self, client: Client, first: int) -> Follower:
        journal = self._journals.get(client.destination)
        if journal is None:
            journal = Journal(client.destination, first=first)
            self._journals[client.destination] = journal
        return Follower(client, journal, buffer=self._buffer)

    async def _connect(
        self, subscribers: Sequence[Subscriber], at_once: int, authority: Path | None
    ) -> Connected:
        context = None
        if authority is not None:
            context = ssl.create_default_context(cafile=str(authority))
        turns = asyncio.Semaphore(at_once)

        async def connect(subscriber: Subscriber) -> str:
            async with turns:
                return await _join(subscriber, context)

        outcomes = await asyncio.gather(*map(connect, subscribers))
        failures = [outcome for outcome in outcomes if outcome]
        return Connected(len(outcomes) - len(failures), failures)

    def _report(self, command: Report) -> Reported:
        reported = Reported()
        for follower in self._followers:
            reader = follower.reader
            reported.deliveries += reader.last - command.first + 1
            reported.faults += reader.faults
            reported.told += reader.told
            if follower.lost:
                reported.faults += 1
                reported.told.append(f"a connection was lost: {follower.lost}")
            elif follower.client.subscribe and reader.last != command.last:
                reported.faults += 1
                reported.told.append(f"{reader.last} of {command.last} messages came")
            reported.delays += follower.delays or []
        reported.told = reported.told[:_TOLD]
        return reported


async def _join(subscriber: Subscriber, context: ssl.SSLContext | None) -> str:
    """Why it could not, or nothing."""
    client = subscriber.client
    try:
        async with asyncio.timeout(_CLIENT_TIMEOUT):
            await asyncio.get_running_loop().create_connection(
                lambda: subscriber, client.host, client.port, ssl=context
            )
            await subscriber.ready
    except TimeoutError:
        return f"not subscribed within {_CLIENT_TIMEOUT:.0f} s"
    except OSError as error:
        return str(error) or type(error).__name__
    return ""
