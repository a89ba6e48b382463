"""A topic whose subscribers acknowledge each message: no client of a gateway can share a
subscription with another one, and each message goes there and back through a relay."""

from dataclasses import replace

from bench_suite.foreign import Foreign
from bench_suite.result import Figure
from bench_suite.run import Run
from bench_suite.scenarios import fanout

FIGURES = (
    Figure("rate", "messages/s", "more"),
    Figure("cpu_system", "system", digits=2),
    Figure("cpu_rabbitmq", "RabbitMQ µs", digits=2),
    Figure("cpu_total", "CPU µs", "less", 2),
    Figure("cpu_system_calm", "at 20/s: system µs", digits=2),
    Figure("cpu_total_calm", "at 20/s: CPU µs", "less", 2),
    Figure("p50", "p50 ms", "less", 1),
    Figure("p99", "p99 ms", "less", 1),
    Figure("load_share", "load %"),
)


def measure(run: Run) -> None:
    """What `fanout` measures, with acknowledgements."""
    with Foreign(run) as source:
        clients = run.door.subscribers(run.scale.clients, source.topic)
        alone = [replace(client, acknowledge=True) for client in source.logged_in(clients)]
        fanout.measure_topic(run, source, alone)
