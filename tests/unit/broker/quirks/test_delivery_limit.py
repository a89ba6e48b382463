"""Whether RabbitMQ drops messages that were delivered often is tried, and told rightly."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from pamqp import commands as spec
from pamqp.header import ContentHeader

from broker.nodes.credentials import Credentials
from broker.publishing.link import LinkFailed
from broker.quirks import delivery_limit
from broker.quirks.delivery_limit import DELIVERIES, survives
from broker.topology import Topology
from tests.unit.broker.amqp_node import AmqpNode, Published, Session, amqp_node

LOGIN = Credentials("gateway", "secret", "/")
#: RabbitMQ 4's own.
DEFAULT = 20


class Node(AmqpNode):
    """A node of RabbitMQ 4 with one message in one queue at most.

    ``cap`` is a policy's limit of deliveries.
    """

    cap: int | None = None
    declared: spec.Queue.Declare
    deleted: list[str]
    left: int = 0

    def stored(self, session: Session, published: Published) -> None:
        assert published.routing_key == self.declared.queue
        limits = [(self.declared.arguments or {}).get("x-delivery-limit"), self.cap]
        self.left = min((each for each in limits if isinstance(each, int)), default=DEFAULT) + 1
        session.send(spec.Basic.Ack(published.tag), published.channel)

    def replies(self, session: Session, channel: int, frame: Any) -> Iterator[Any]:
        match frame:
            case spec.Queue.Declare():
                self.declared = frame
            case spec.Queue.Delete():
                self.deleted.append(frame.queue)
            case spec.Basic.Get() if self.left:
                self.left -= 1
                yield spec.Basic.GetOk(1, True, "amq.topic", frame.queue, 0)
                yield ContentHeader(body_size=0, properties=spec.Basic.Properties())
                return
        yield from super().replies(session, channel, frame)


def tried(*, earlier: bool, cap: int | None = None, hangs: str = "") -> tuple[bool, Node]:
    async def whole() -> tuple[bool, Node]:
        async with asyncio.timeout(20), amqp_node(kind=Node) as node:
            node.cap, node.deleted, node.on_publish = cap, [], node.stored
            node.hangs = {hangs}
            kept = await survives(node.node, LOGIN, Topology(), earlier=earlier, timeout=5)
            return kept, node

    return asyncio.run(whole())


@pytest.mark.parametrize(
    ("earlier", "cap", "kept"),
    [
        (False, None, True),
        # The smaller of argument and policy counts.
        (False, 20, False),
        (False, 1_000_000, True),
        (True, None, False),
        (True, 1_000_000, True),
        (True, 3, False),
    ],
)
def test_it_is_told_whether_the_message_is_still_there(
    earlier: bool, cap: int | None, kept: bool
) -> None:
    told, node = tried(earlier=earlier, cap=cap)
    assert told is kept
    assert node.heard.count("Basic.Reject") == (
        DELIVERIES if kept else node.heard.count("Basic.Get") - 1
    )
    assert node.deleted == [node.declared.queue]


def test_the_queue_is_treated_like_a_private_one_but_is_no_rooms() -> None:
    _, node = tried(earlier=False)
    name, arguments = node.declared.queue, dict(node.declared.arguments or {})
    assert name.startswith("acdm.mo.interact.private.")
    assert Topology().private_queue_room(name) is None
    like = dict(Topology().private_queue(1).arguments)
    # Otherwise a message could not be taken out of it.
    del like["x-single-active-consumer"]
    assert arguments == {**like, "x-expires": 60_000}


def test_a_cluster_that_confirms_nothing_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_limit, "TRIAL", 0.1)
    with pytest.raises(LinkFailed, match=r"a new queue did not work within 0\.1 s"):
        tried(earlier=False, hangs="Queue.Declare")
