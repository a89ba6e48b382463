"""All clients come at once: how fast they are connected and subscribed, and whether they stay."""

from collections.abc import Sequence
from dataclasses import replace

from bench_suite.foreign import Foreign
from bench_suite.load import LoadFailed
from bench_suite.result import Figure
from bench_suite.run import Run
from bench_suite.subscriber import Client
from bench_suite.topic import Source, Topic

FIGURES = (
    Figure("rate", "clients/s", "more"),
    Figure("cpu_system", "system", digits=0),
    Figure("cpu_rabbitmq", "RabbitMQ µs", digits=0),
    Figure("cpu_total", "CPU µs/client", "less"),
    Figure("failed", "failed"),
    Figure("load_share", "load %"),
)
#: What a proxy in front of RabbitMQ is judged by: RabbitMQ must not have more to do for it.
RELAY_FIGURES = (
    Figure("rate", "clients/s", "more"),
    Figure("cpu_system", "system", digits=0),
    Figure("cpu_rabbitmq", "RabbitMQ µs/client", "less"),
    Figure("cpu_total", "CPU µs/client", "less"),
    Figure("failed", "failed"),
    Figure("load_share", "load %"),
)
#: Messages that everybody must get afterwards.
_MESSAGES = 5


def measure(run: Run) -> None:
    """A storm of `clients`."""
    _storm(run, run.scale.clients)


def measure_many(run: Run) -> None:
    """A storm of `many`."""
    _storm(run, run.scale.many)


def measure_relays(run: Run) -> None:
    """A storm of RabbitMQ's own users who acknowledge what they get: no client of a gateway can
    share a subscription with another one."""
    with Foreign(run) as source:
        clients = run.door.subscribers(run.scale.clients, source.topic)
        alone = [replace(client, acknowledge=True) for client in source.logged_in(clients)]
        _measure(run, source, alone)


def _storm(run: Run, count: int) -> None:
    with Source(run) as source:
        _measure(run, source, run.door.subscribers(count, source.topic))


def _measure(run: Run, source: Topic, clients: Sequence[Client]) -> None:
    run.progress(f"{len(clients)} clients connect at once")
    watch = run.stopwatch()
    connected = run.load.connect(clients, at_once=len(clients), authority=run.door.authority)
    run.charge(watch.stop(), connected.ready)
    run.row.values["rate"] = connected.ready / connected.seconds
    run.row.values["failed"] = len(connected.failures)
    if connected.failures:
        run.row.faults += len(connected.failures)
        run.row.told.append(connected.failures[0])
    if not connected.ready:
        raise LoadFailed(f"nobody got in: {connected.failures[0]}")
    for _ in range(_MESSAGES):
        source.publish()
    source.arrived()
    run.judge(run.load.verdict(first=1, last=source.published))
