"""Sockets that are read by one epoll: each reader in its own context, and none after its end."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context

from gateway.poller import Poller

_TIMEOUT = 20
_whose: ContextVar[str] = ContextVar("whose")


class Side:
    """One end of a connection, which is read in a context of its own."""

    def __init__(self, poller: Poller, name: str, heard: list[tuple[str, bytes]]) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.others: list[Side] = []
        self.fails = False
        self._poller = poller
        self._heard = heard
        self._context = copy_context()
        self._context.run(_whose.set, name)

    def listen(self) -> None:
        self._poller.add(self.ours.fileno(), self._read, self._context)

    def hold(self) -> None:
        self._poller.remove(self.ours.fileno())

    def _read(self) -> None:
        self._heard.append((_whose.get(), self.ours.recv(100)))
        for other in self.others:
            other.hold()
        if self.fails:
            raise ZeroDivisionError


@contextmanager
def sides(count: int) -> Iterator[tuple[list[Side], list[tuple[str, bytes]]]]:
    poller, heard = Poller(), list[tuple[str, bytes]]()
    made = [Side(poller, str(number), heard) for number in range(count)]
    for side in made:
        side.listen()
    yield made, heard
    for side in made:
        side.hold()
        side.ours.close()
        side.theirs.close()


async def until(heard: list[tuple[str, bytes]], count: int) -> None:
    async with asyncio.timeout(_TIMEOUT):
        while len(heard) < count:  # noqa: ASYNC110 - a reader is no coroutine
            await asyncio.sleep(0.001)


def test_each_is_read_in_its_own_context_also_after_it_was_held() -> None:
    async def scenario() -> None:
        with sides(2) as ((first, second), heard):
            first.hold()
            first.theirs.send(b"waits")
            second.theirs.send(b"comes")
            await until(heard, 1)
            assert heard == [("1", b"comes")]
            first.listen()
            await until(heard, 2)
            assert heard[1:] == [("0", b"waits")]

    asyncio.run(scenario())


def test_the_end_is_told_too() -> None:
    async def scenario() -> None:
        with sides(1) as ((side,), heard):
            side.theirs.shutdown(socket.SHUT_WR)
            await until(heard, 1)
            assert heard[0] == ("0", b"")

    asyncio.run(scenario())


def test_a_reader_that_another_has_ended_in_the_same_round_is_not_called() -> None:
    async def scenario() -> None:
        with sides(2) as ((first, second), heard):
            first.others, second.others = [second], [first]
            for side in (first, second):
                side.theirs.send(b"at once")
            await until(heard, 1)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert len(heard) == 1

    asyncio.run(scenario())


def test_a_reader_that_fails_is_told_as_its_own_fault_and_keeps_no_other_from_being_read() -> None:
    async def scenario() -> None:
        faults: list[tuple[str, type[Exception]]] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: faults.append((_whose.get(), type(context["exception"])))
        )
        with sides(2) as ((first, second), heard):
            first.fails = second.fails = True
            for side in (first, second):
                side.theirs.send(b"at once")
            await until(heard, 2)
        assert sorted(faults) == [("0", ZeroDivisionError), ("1", ZeroDivisionError)]

    asyncio.run(scenario())
