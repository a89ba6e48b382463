"""Private queues, each with one consumer that acknowledges every message."""

import time
from collections.abc import Sequence

from bench_suite import messages
from bench_suite.flood import Flood, ready_made
from bench_suite.gateways import HOST, TOPOLOGY
from bench_suite.queues import private_queues
from bench_suite.result import Figure, percentile
from bench_suite.run import Run
from bench_suite.scenarios.subscribing import subscribe
from broker.topology import Stream
from gateway.messages.publication import publication

FIGURES = (
    Figure("rate", "messages/s", "more"),
    Figure("cpu_system", "system µs", "less", 1),
    Figure("cpu_rabbitmq", "RabbitMQ µs", digits=1),
    Figure("p50", "p50 ms", "less", 1),
    Figure("p99", "p99 ms", "less", 1),
    Figure("load_share", "load %"),
)
QUEUES = 200
_QUEUES_WHEN_QUICK = 10
#: Messages on their way in each queue.
_AHEAD = 3
#: Seconds for the last ones.
_ARRIVAL = 60.0


def measure(run: Run) -> None:
    """Measure as many messages as come through."""
    count = _QUEUES_WHEN_QUICK if run.scale.quick else QUEUES
    run.progress(f"{count} private queues are declared")
    queues = private_queues(run, count)
    with Flood(run.lab.cluster.nodes[-1], run.lab.cluster.admin) as flood:
        subscribe(run, [client for _, client in queues])
        streams = [stream for stream, _ in queues]
        run.progress(f"{count} private queues, as fast as it goes")
        _round(flood, streams, 1)
        run.load.watch()
        watch, started, rounds = run.stopwatch(), time.monotonic(), 1
        while time.monotonic() < started + run.scale.seconds:
            if rounds - run.load.position < _AHEAD:
                rounds += 1
                _round(flood, streams, rounds)
            flood.confirm(0.002)
        while run.load.position < rounds and time.monotonic() < started + _ARRIVAL:
            flood.confirm(0.002)
        cost, delivered = watch.stop(), rounds * count
        run.charge(cost, delivered)
        verdict = run.load.verdict(first=1, last=rounds)
        run.judge(verdict)
        run.row.values["rate"] = delivered / cost.seconds
        run.row.values["p50"] = percentile(verdict.delays, 0.5) / 1e6
        run.row.values["p99"] = percentile(verdict.delays, 0.99) / 1e6


def _round(flood: Flood, streams: Sequence[Stream], number: int) -> None:
    """The next message of every queue."""
    flood.publish(
        ready_made(publication(messages.draft(stream, HOST).numbered(number), TOPOLOGY))
        for stream in streams
    )
