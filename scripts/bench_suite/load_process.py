"""Inside a process of the load generator: an event loop full of clients, steered by a pipe."""

import asyncio
import ctypes
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import uvloop

from bench_suite.journal import Journal
from bench_suite.subscriber import Client, Subscriber

#: Bytes that are read at once.
_BUFFER = 1 << 18
#: Seconds that one client may take to be subscribed.
_CLIENT_TIMEOUT = 120.0
#: Seconds between two looks at how far the slowest subscriber is.
_LOOK = 0.005
_TOLD = 5


@dataclass(frozen=True)
class Connect:
    clients: Sequence[Client]
    at_once: int
    first: int
    authority: Path | None


@dataclass(frozen=True)
class Connected:
    ready: int
    failures: list[str]
    seconds: float = 0.0


@dataclass(frozen=True)
class Watch:
    on: bool


@dataclass(frozen=True)
class Report:
    first: int
    last: int


@dataclass
class Reported:
    deliveries: int = 0
    faults: int = 0
    told: list[str] = field(default_factory=list)
    delays: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Close:
    pass


Command = Connect | Watch | Report | Close


def serve(pipe: Pipe, position: "ctypes.c_longlong") -> None:
    """Do what comes by the pipe until it is closed."""
    uvloop.run(Crowd(position).serve(pipe))


def _received(pipe: Pipe) -> Command | None:
    """The next command; None at the end."""
    try:
        command: Command = pipe.recv()
    except EOFError:
        return None
    return command


class Crowd:
    """``position`` is shared with the process that asks: how far the slowest subscriber is."""

    def __init__(self, position: "ctypes.c_longlong") -> None:
        self._position = position
        self._subscribers: list[Subscriber] = []
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
            listening = [each for each in self._subscribers if each.client.subscribe]
            if listening:
                self._position.value = min(each.reader.last for each in listening)
            await asyncio.sleep(_LOOK)

    async def _do(self, command: Command) -> object:
        match command:
            case Connect():
                return await self._connect(command)
            case Watch(on):
                for subscriber in self._subscribers:
                    subscriber.delays = [] if on else None
                return None
            case Report():
                return self._report(command)
            case Close():
                for subscriber in self._subscribers:
                    subscriber.close()
                self._subscribers.clear()
                self._journals.clear()
                self._position.value = 0
                return None

    async def _connect(self, command: Connect) -> Connected:
        context = None
        if command.authority is not None:
            context = ssl.create_default_context(cafile=str(command.authority))
        turns = asyncio.Semaphore(command.at_once)

        async def connect(client: Client) -> str:
            async with turns:
                return await self._join(client, command.first, context)

        outcomes = await asyncio.gather(*map(connect, command.clients))
        failures = [outcome for outcome in outcomes if outcome]
        return Connected(len(outcomes) - len(failures), failures)

    async def _join(self, client: Client, first: int, context: ssl.SSLContext | None) -> str:
        """Why it could not, or nothing."""
        journal = self._journals.get(client.destination)
        if journal is None:
            journal = Journal(client.destination, first=first)
            self._journals[client.destination] = journal
        subscriber = Subscriber(client, journal, buffer=self._buffer)
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
        self._subscribers.append(subscriber)
        return ""

    def _report(self, command: Report) -> Reported:
        reported = Reported()
        for subscriber in self._subscribers:
            reader = subscriber.reader
            reported.deliveries += reader.last - command.first + 1
            reported.faults += reader.faults
            reported.told += reader.told
            if subscriber.lost:
                reported.faults += 1
                reported.told.append(f"a connection was lost: {subscriber.lost}")
            elif subscriber.client.subscribe and reader.last != command.last:
                reported.faults += 1
                reported.told.append(f"{reader.last} of {command.last} messages came")
            reported.delays += subscriber.delays or []
        reported.told = reported.told[:_TOLD]
        return reported
