"""Questions to RabbitMQ: when they are asked, and how long a refusal is waited for."""

from __future__ import annotations

import asyncio

import pytest

from gateway.live.relay.doubt import Doubt
from gateway.live.relay.proofs import ASK, LONGEST_SETTLE, SETTLE, Proofs
from tests.virtual_time import run


class Node:
    """A node that answers after ``takes`` seconds. ``said`` is what it was asked, and when."""

    def __init__(self, takes: float) -> None:
        self.takes = takes
        self.doubt = Doubt()
        self.said: list[tuple[float, str]] = []
        self.proofs = Proofs("ours", doubt=lambda: self.doubt, send=self._asked)

    def _asked(self, frame: bytes) -> None:
        loop = asyncio.get_running_loop()
        command, _, rest = frame.decode().partition("\n")
        self.said.append((loop.time(), command))
        receipt = rest.partition("receipt:")[2].partition("\n")[0]
        loop.call_later(self.takes, self._answer, receipt)

    def _answer(self, receipt: str) -> None:
        assert self.proofs.answered(receipt)
        self.proofs.wake()


@pytest.mark.parametrize(
    ("takes", "message", "pause"),
    [
        (0.001, True, SETTLE),
        (0.05, True, 0.5),
        (2.0, True, LONGEST_SETTLE),
        (2.0, False, 0.0),
    ],
)
def test_a_busy_node_has_longer_for_its_refusal(takes: float, message: bool, pause: float) -> None:
    async def main() -> None:
        node, loop = Node(takes), asyncio.get_running_loop()
        began = loop.time()
        number = node.doubt.sent("SEND", "/topic/x", message=message)
        node.proofs.soon()
        while node.doubt.any:
            await node.proofs.change()
        assert node.doubt.is_proven(number)
        times = [round(when - began, 6) for when, _ in node.said]
        assert [what for _, what in node.said] == ["BEGIN", "ABORT"]
        assert times == [ASK, round(ASK + takes + pause, 6)]

    run(main())


def test_what_is_sent_in_a_row_is_asked_about_once() -> None:
    async def main() -> None:
        node = Node(0.001)
        for _ in range(10):
            node.doubt.sent("SEND", "/topic/x", message=True)
            node.proofs.soon()
        while node.doubt.any:
            await node.proofs.change()
        assert len(node.said) == 2

    run(main())
