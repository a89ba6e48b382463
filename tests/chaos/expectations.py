"""The allowed cost of each kind of fault. G1–G5 (ARCHITECTURE) hold during every fault."""

from dataclasses import dataclass

from tests.chaos.schedule import Kind


@dataclass(frozen=True, slots=True)
class Price:
    """Whether, during the fault, sockets of topics and of private queues may close and POSTs may
    go unanswered or be refused. With `own_gateway` only those at the broken gateway; with `code`
    only sockets closed with it."""

    closes_topics: bool = False
    closes_queues: bool = False
    fails_posts: bool = False
    own_gateway: bool = False
    code: int | None = None


PRICES = {
    Kind.KILL_NODE: Price(),
    Kind.HANG_NODE: Price(),
    Kind.STOP_NODE: Price(),
    # There is no other node that a private queue's socket could be moved to.
    Kind.ALL_NODES_DOWN: Price(closes_queues=True),
    Kind.KILL_GATEWAY: Price(
        closes_topics=True, closes_queues=True, fails_posts=True, own_gateway=True
    ),
    # Every client is told when to come back: 1012, and nothing else.
    Kind.DRAIN_GATEWAY: Price(
        closes_topics=True, closes_queues=True, fails_posts=True, own_gateway=True, code=1012
    ),
    Kind.RESTART_POSTGRES: Price(fails_posts=True),
    Kind.CUT_CLIENTS: Price(),
    Kind.STALL_READERS: Price(closes_topics=True, closes_queues=True, code=4008),
}
