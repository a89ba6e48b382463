"""Sockets that come and go beside the judged clients, in a process of their own.

Nothing that they see is judged. What they leave behind in the gateway is.
"""

import asyncio
import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from multiprocessing.context import SpawnProcess
from random import Random
from typing import Protocol

import uvloop

from tests.chaos.clients import PREFIX
from tests.chaos.wire import Frame, Wire

#: Seconds that a socket lives, on average and at most. 2,000 of them make seventeen new ones a
#: second.
_LIFE, _LONGEST_LIFE = 120.0, 600.0
#: Seconds that the gateway has to close a socket whose client has closed its half.
_HALF_CLOSED = 20.0
#: Sockets in rooms where somebody speaks; the others hear who comes and goes in rooms of their own.
_IN_CLASS = 0.1
#: Seconds over which the first sockets come, and between two tries of one that did not get in.
_ARRIVING, _AGAIN = 60.0, 5.0
#: Of the host users' sockets, those that read a private queue, each by a relay of its own.
_RELAYED = 0.5
_LOWER_PRIORITY = 10


class End(StrEnum):
    """The ways in which a socket of the crowd ends."""

    DISCONNECT = "says DISCONNECT and Close"
    CLOSE = "closes the TCP connection"
    RESET = "resets the TCP connection"
    HALF_CLOSE = "shuts down its sending side"
    NEVER_READS = "never reads, then resets"
    NEVER_CONNECTS = "never says CONNECT"


#: The odds of each.
_ODDS = {
    End.DISCONNECT: 8,
    End.CLOSE: 8,
    End.RESET: 6,
    End.HALF_CLOSE: 4,
    End.NEVER_READS: 2,
    End.NEVER_CONNECTS: 2,
}


class Counts(Protocol):
    """Shared numbers: sockets that stand now, that were subscribed, that did not get in."""

    def __getitem__(self, index: int) -> int: ...

    def __setitem__(self, index: int, value: int) -> None: ...


_STANDING, _SUBSCRIBED, _FAILED = range(3)


@dataclass(frozen=True)
class Members:
    """The people of a crowd: the `rooms` where somebody speaks, and the room of each host user.
    Everybody is a member of all."""

    addresses: Sequence[str]
    tokens: Mapping[str, str] = field(repr=False)
    rooms: Sequence[int]
    hosts: Mapping[str, int]


@dataclass(frozen=True)
class Standing:
    """What a crowd is doing."""

    standing: int
    subscribed: int
    failed: int


class Crowd:
    """A running process full of sockets."""

    def __init__(self, process: SpawnProcess, counts: Counts) -> None:
        self._process = process
        self._counts = counts

    def look(self) -> Standing:
        """The number of sockets now, of all that were ever subscribed, and of failed tries."""
        if not self._process.is_alive():
            raise RuntimeError("the process of the sockets that come and go has ended")
        counts = self._counts
        return Standing(counts[_STANDING], counts[_SUBSCRIBED], counts[_FAILED])


@contextmanager
def crowd(members: Members, sockets: int, seed: int) -> Iterator[Crowd]:
    """Let so many sockets come and go; at the end all of them are gone."""
    context = multiprocessing.get_context("spawn")
    counts = context.Array("q", 3, lock=False)
    process = context.Process(target=_serve, args=(members, sockets, seed, counts), daemon=True)
    process.start()
    try:
        yield Crowd(process, counts)
    finally:
        process.terminate()
        process.join()


def _serve(members: Members, sockets: int, seed: int, counts: Counts) -> None:
    os.nice(_LOWER_PRIORITY)
    uvloop.run(_come_and_go(members, sockets, seed, counts))


async def _come_and_go(members: Members, sockets: int, seed: int, counts: Counts) -> None:
    rng = Random(seed)  # noqa: S311 - it is to be repeatable
    async with asyncio.TaskGroup() as group:
        for _ in range(sockets):
            group.create_task(_place(members, Random(rng.random()), counts))  # noqa: S311


async def _place(members: Members, rng: Random, counts: Counts) -> None:
    """One place in the crowd, taken by one socket after the other."""
    await asyncio.sleep(rng.uniform(0, _ARRIVING))
    while True:
        passer = _Passer(members, rng, counts)
        counts[_STANDING] += 1
        try:
            await passer.live()
        except OSError:
            counts[_FAILED] += 1
            await asyncio.sleep(_AGAIN)
        finally:
            counts[_STANDING] -= 1


class _Passer:
    """One socket of the crowd: it comes, follows a room for a while, and ends in one of the ways.

    A listener of its wire.
    """

    def __init__(self, members: Members, rng: Random, counts: Counts) -> None:
        self._members = members
        self._rng = rng
        self._counts = counts
        self._end = rng.choices(list(_ODDS), list(_ODDS.values()))[0]
        self._user = rng.choice(sorted(members.tokens))
        self._opened = False
        self._closed = asyncio.Event()
        self._wire: Wire

    async def live(self) -> None:
        """From the dial to the end. Raises `OSError` if the gateway refuses it."""
        address = self._rng.choice(self._members.addresses)
        host, _, port = address.rpartition(":")
        self._wire = Wire(address, self)
        await asyncio.get_running_loop().create_connection(lambda: self._wire, host, int(port))
        life = min(self._rng.expovariate(1 / _LIFE), _LONGEST_LIFE)
        if not await self._is_closed_within(life):
            await self._leave()
        self._wire.abort("the end")
        if not self._opened:
            raise ConnectionError("refused")

    def opened(self) -> None:
        self._opened = True
        if self._end is End.NEVER_CONNECTS:
            return
        token = self._members.tokens[self._user]
        headers = {"accept-version": "1.2", "host": "/", "passcode": token, "heart-beat": "0,0"}
        self._wire.send("CONNECT", headers)

    def frame(self, frame: Frame) -> None:
        match frame.command:
            case "CONNECTED":
                self._wire.send("SUBSCRIBE", {"id": "s", "receipt": "up", **self._destination()})
            case "RECEIPT":
                self._counts[_SUBSCRIBED] += 1
                if self._end is End.NEVER_READS:
                    self._wire.stall()

    def closed(self, code: int | None, why: str) -> None:
        self._closed.set()

    def _destination(self) -> dict[str, str]:
        own = self._members.hosts.get(self._user)
        if own is not None and self._rng.random() < _RELAYED:
            return {"destination": f"/queue/{PREFIX}.private.{own}", "ack": "client-individual"}
        in_class = self._rng.random() < _IN_CLASS
        rooms = self._members.rooms if in_class else list(self._members.hosts.values())
        return {"destination": f"/topic/{PREFIX}.public.{self._rng.choice(rooms)}"}

    async def _leave(self) -> None:
        wire = self._wire
        match self._end:
            case End.DISCONNECT:
                wire.send("DISCONNECT", {"receipt": "bye"})
                wire.close()
                await self._is_closed_within(_HALF_CLOSED)
            case End.HALF_CLOSE:
                wire.half_close()
                await self._is_closed_within(_HALF_CLOSED)
            case End.RESET | End.NEVER_READS:
                wire.reset_when_aborted()

    async def _is_closed_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        return self._closed.is_set()
