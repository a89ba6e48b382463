"""The load generator: processes that hold the clients and get their commands by a pipe."""

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

from bench_suite.load_process import (
    Close,
    Command,
    Connect,
    Connected,
    Gather,
    Post,
    Publish,
    Report,
    Talk,
    Watch,
    serve,
)
from bench_suite.poster import Posted, Target
from bench_suite.subscriber import Client
from bench_suite.talker import Member, Talked
from broker.topology import Stream

#: Seconds for an answer; a storm takes the longest.
_TIMEOUT = 300.0


class LoadFailed(Exception):
    """The clients could not carry out a command."""


@dataclass
class Verdict:
    """The sum of what all subscribers have received, and of all faults."""

    deliveries: int = 0
    faults: int = 0
    told: list[str] = field(default_factory=list)
    delays: list[int] = field(default_factory=list)

    @property
    def flawless(self) -> bool:
        return not self.faults


class Load:
    """The load generator: worker processes that hold the clients.

    ``workers`` processes that share the clients evenly.
    """

    def __init__(self, workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Pipe] = []
        self._processes = []
        self._positions = []
        for _ in range(workers):
            ours, theirs = context.Pipe()
            position = context.Value("q", 0, lock=False)
            process = context.Process(target=serve, args=(theirs, position), daemon=True)
            process.start()
            self._pipes.append(ours)
            self._processes.append(process)
            self._positions.append(position)

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes if process.pid]

    @property
    def position(self) -> int:
        """The highest number that every subscriber has received."""
        return min(int(position.value) for position in self._positions)

    def connect(
        self,
        clients: Sequence[Client],
        *,
        at_once: int,
        first: int = 1,
        authority: Path | None = None,
    ) -> Connected:
        """Connect (by TLS with an ``authority``) and subscribe, so many at a time."""
        share = len(self._pipes)
        started = time.perf_counter()
        answers = self._ask(
            [
                Connect(clients[index::share], max(1, at_once // share), first, authority)
                for index in range(share)
            ]
        )
        seconds = time.perf_counter() - started
        return Connected(
            sum(answer.ready for answer in answers),
            [reason for answer in answers for reason in answer.failures],
            seconds,
        )

    def watch(self) -> None:
        """Keep delays from now on, and forget those before."""
        self._ask([Watch(on=True)] * len(self._pipes))

    def forget(self) -> None:
        """Stop keeping delays."""
        self._ask([Watch(on=False)] * len(self._pipes))

    def verdict(self, *, first: int, last: int) -> Verdict:
        """Has every subscriber received exactly ``first`` … ``last``, in order?"""
        verdict = Verdict()
        for answer in self._ask([Report(first, last)] * len(self._pipes)):
            verdict.deliveries += answer.deliveries
            verdict.faults += answer.faults
            verdict.told += answer.told
            verdict.delays += answer.delays
        return verdict

    def gather(self, members: Sequence[Member], authority: Path | None) -> Connected:
        """Connect the members who talk; all in the first worker, so that rooms stay together."""
        connected: Connected = self._ask_one(Gather(members, authority))
        return connected

    def talk(self, seconds: float) -> Talked:
        """See `talker.talk`."""
        talked: Talked = self._ask_one(Talk(seconds))
        return talked

    def post(self, target: Target, connections: int, seconds: float, stream: Stream) -> Posted:
        """POST to the stream over and over, from the first worker; see `poster.post`."""
        posted: Posted = self._ask_one(Post(target, connections, seconds, stream))
        return posted

    def publish(self, url: str, at_once: int, seconds: float) -> Posted:
        """See `bare_publisher.publish`."""
        posted: Posted = self._ask_one(Publish(url, at_once, seconds))
        return posted

    def close_clients(self) -> None:
        self._ask([Close()] * len(self._pipes))

    def stop(self) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(5)
            process.kill()

    def _ask_one(self, command: Command) -> Any:
        return self._ask([command])[0]

    def _ask(self, commands: Sequence[Command]) -> list[Any]:
        """The answers of the first so many workers."""
        asked = list(zip(self._pipes, commands, strict=False))
        for pipe, command in asked:
            pipe.send(command)
        answers = []
        for pipe, _ in asked:
            if not pipe.poll(_TIMEOUT):
                raise LoadFailed(f"the load generator did not answer for {_TIMEOUT:.0f} s")
            answer = pipe.recv()
            if isinstance(answer, Exception):
                raise LoadFailed(f"the load generator failed: {answer}") from answer
            answers.append(answer)
        return answers


@contextmanager
def load(workers: int) -> Iterator[Load]:
    generator = Load(workers)
    try:
        yield generator
    finally:
        generator.stop()
