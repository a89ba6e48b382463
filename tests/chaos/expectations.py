"""What each kind of fault may cost. The rest, G1–G5, is no matter of faults: it holds always."""

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


#: A private queue's socket is not yet moved to another node: it may close.
_NODE = Price(closes_queues=True)

PRICES = {
    Kind.KILL_NODE: _NODE,
    Kind.HANG_NODE: _NODE,
    Kind.STOP_NODE: _NODE,
    Kind.ALL_NODES_DOWN: _NODE,
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
