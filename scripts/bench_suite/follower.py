"""A subscriber of one numbered destination: checks, measures delays, acknowledges if asked."""

import time

from bench_suite.journal import Journal, Reader
from bench_suite.subscriber import MASK, Client, Subscriber
from broker.protocol.websocket import Opcode, build


class Follower(Subscriber):
    """A subscriber of one numbered destination.

    ``delays``: nanoseconds from publishing to arrival, while it is not None.
    """

    def __init__(self, client: Client, journal: Journal, *, buffer: memoryview) -> None:
        self.reader = Reader(
            journal,
            other=self._frame,
            message=self._acknowledge if client.acknowledge else None,
        )
        self.delays: list[int] | None = None
        self._acks: list[bytes] = []
        super().__init__(client, self, buffer=buffer)

    def feed(self, chunk: bytes | memoryview) -> None:
        if self.delays is None:
            self.reader.feed(chunk)
        else:
            before = self.reader.last
            self.reader.feed(chunk)
            self._measure(before, self.delays)
        if self._acks:
            self._transport.write(b"".join(self._acks))
            self._acks.clear()

    def _measure(self, before: int, delays: list[int]) -> None:
        now = time.monotonic_ns()
        journal = self.reader.journal
        for seq in range(before + 1, self.reader.last + 1):
            delays.append(now - journal.published[seq - journal.first])

    def _acknowledge(self, payload: bytes) -> None:
        begin = payload.index(b"\nack:") + 5
        ack = payload[begin : payload.index(b"\n", begin)]
        self._acks.append(build(Opcode.TEXT, b"ACK\nid:" + ack + b"\n\n\0", mask=MASK))
