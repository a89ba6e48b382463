"""The allowed cost of each kind of fault. G1–G5 (ARCHITECTURE) hold during every fault."""

from dataclasses import dataclass

from tests.chaos.schedule import Kind


@dataclass(frozen=True, slots=True)
class Price:
    """Whether, during the fault, sockets of topics and of private queues may close and POSTs may
    go unanswered or be refused. With `own_gateway` only those at the broken gateway; with `code`
    only sockets closed with it. `goes_on`: whatever the fault, everything is as quick as before
    after the first seconds of it. `says`: the part that the broken gateway says fails, from
    `within` seconds on, and `not_ready` because of it. `hears`: gateways hear each other."""

    closes_topics: bool = False
    closes_queues: bool = False
    fails_posts: bool = False
    own_gateway: bool = False
    code: int | None = None
    goes_on: bool = False
    says: str | None = None
    within: float = 0.0
    not_ready: bool = False
    hears: bool = False


#: Seconds that half of all POSTs may take until they are answered, and half of the messages until
#: hosts have them, during a fault of so many seconds in which things go on.
POST_WITHIN = 1.0
QUEUE_WITHIN = 3.0
LONG_FAULT = 15.0
#: Seconds in which the socket of somebody who was removed must be closed: one is promised, on a
#: machine that is not as busy as this one.
REMOVED_WITHIN = 3.0

PRICES = {
    Kind.KILL_NODE: Price(goes_on=True),
    Kind.HANG_NODE: Price(goes_on=True),
    Kind.STOP_NODE: Price(goes_on=True),
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
    Kind.FREEZE_POSTGRES: Price(fails_posts=True),
    # Each call that was in hand; the next one has a new connection.
    Kind.BREAK_POOLS: Price(fails_posts=True),
    # Its topics go on by the database; a private queue's socket has no node to move to.
    Kind.CUT_OFF_GATEWAY: Price(
        closes_queues=True, own_gateway=True, says="bus", within=15.0, not_ready=True
    ),
    Kind.CLOCKS_APART: Price(says="clock", within=8.0, hears=True),
    Kind.CUT_CLIENTS: Price(),
    Kind.STALL_READERS: Price(closes_topics=True, closes_queues=True, code=4008),
}
