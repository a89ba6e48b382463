"""Destinations of rooms: each has one spelling."""

from broker.topology import Topology
from gateway.live.destinations import RoomQueue, RoomTopic, parse

_TOPOLOGY = Topology()

SEEDS = (
    b"/topic/acdm.mo.interact.public.42",
    b"/queue/acdm.mo.interact.private.1",
    b"/amq/queue/acdm.mo.interact.private.1",
    b"/topic/acdm.mo.interact.public.042",
)


def check(data: bytes) -> None:
    """Anything can be read; what is a room's spells that room's name."""
    text = data.decode(errors="replace")
    match parse(text, _TOPOLOGY):
        case RoomTopic(stream):
            assert text == f"/topic/{_TOPOLOGY.routing_key(stream)}"
        case RoomQueue(room):
            assert text.removeprefix("/amq").removeprefix("/queue/") == _name(room)


def _name(room: int) -> str:
    return _TOPOLOGY.private_queue(room).name
