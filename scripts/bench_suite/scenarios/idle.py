"""Many clients that only listen: the memory for each of them."""

from bench_suite.proc import memory_bytes
from bench_suite.result import Figure
from bench_suite.run import Run
from bench_suite.scenarios.subscribing import subscribe
from bench_suite.topic import Source

FIGURES = (
    Figure("bytes", "bytes/connection", "less"),
    Figure("rabbitmq_bytes", "RabbitMQ bytes"),
    Figure("connections", "connections"),
)
_MESSAGES = 3


def measure(run: Run) -> None:
    """Through a gateway all clients subscribe. At the peers they only connect: 5,000 subscriptions
    of RabbitMQ's own take a gigabyte and minutes, and the proxy does not know the difference."""
    system, brokers = memory_bytes(run.door.pids), memory_bytes(run.brokers)
    count = run.scale.many
    with Source(run) as source:
        if run.row.system == "shared":
            subscribe(run, run.door.subscribers(count, source.topic))
            for _ in range(_MESSAGES):
                source.publish()
            source.arrived()
        else:
            subscribe(run, run.door.clients(count))
        run.row.values["connections"] = count
        run.row.values["bytes"] = (memory_bytes(run.door.pids) - system) / count
        run.row.values["rabbitmq_bytes"] = (memory_bytes(run.brokers) - brokers) / count
        run.judge(run.load.verdict(first=1, last=source.published))
