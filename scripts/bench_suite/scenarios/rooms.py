"""Many rooms with a few members each, and everyone speaks by SEND."""

from dataclasses import replace

from bench_suite.gateways import TOPOLOGY, user
from bench_suite.load import LoadFailed
from bench_suite.result import Figure, percentile
from bench_suite.run import Run
from bench_suite.talker import Member
from broker.topology import Audience, Stream

FIGURES = (
    Figure("rate", "deliveries/s", "more"),
    Figure("cpu_system", "system", digits=1),
    Figure("cpu_rabbitmq", "RabbitMQ µs", digits=1),
    Figure("cpu_total", "CPU µs", "less", 1),
    Figure("p50", "p50 ms", "less", 1),
    Figure("p99", "p99 ms", "less", 1),
    Figure("load_share", "load %"),
)
#: Members of a room.
SIZE = 10


def measure(run: Run) -> None:
    """Measure as many rooms as the clients fill."""
    members = _members(run)
    run.progress(f"{len(members)} clients in rooms of {SIZE} connect")
    connected = run.load.gather(members, run.door.authority)
    if connected.failures:
        raise LoadFailed(f"{len(connected.failures)} did not get in: {connected.failures[0]}")
    run.progress("everyone speaks")
    watch = run.stopwatch()
    talked = run.load.talk(run.scale.seconds)
    deliveries = len(talked.heard.delays)
    run.charge(watch.stop(), deliveries)
    run.row.values["rate"] = deliveries / talked.seconds
    run.row.values["p50"] = percentile(talked.heard.delays, 0.5) / 1e6
    run.row.values["p99"] = percentile(talked.heard.delays, 0.99) / 1e6
    run.row.faults += talked.heard.faults
    run.row.told += talked.heard.told


def _members(run: Run) -> list[Member]:
    clients = run.door.clients(max(1, run.scale.clients // SIZE) * SIZE)
    members = []
    for start in range(0, len(clients), SIZE):
        room = 1 + start // SIZE
        if run.gateway is not None:
            room = run.gateway.room([user(index) for index in range(start, start + SIZE)])
        topic = f"/topic/{TOPOLOGY.routing_key(Stream(Audience.PUBLIC, room))}"
        members += [
            Member(replace(client, subscribe=topic, destination=topic), room, place, SIZE)
            for place, client in enumerate(clients[start : start + SIZE])
        ]
    return members
