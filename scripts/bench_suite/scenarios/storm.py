"""All clients come at once: how fast they are connected and subscribed, and whether they stay."""

from bench_suite.load import LoadFailed
from bench_suite.result import Figure
from bench_suite.run import Run
from bench_suite.topic import Source

FIGURES = (
    Figure("rate", "clients/s", "more"),
    Figure("cpu_system", "system", digits=0),
    Figure("cpu_rabbitmq", "RabbitMQ µs", digits=0),
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


def _storm(run: Run, count: int) -> None:
    with Source(run) as source:
        run.progress(f"{count} clients connect at once")
        clients = run.door.subscribers(count, source.topic)
        watch = run.stopwatch()
        connected = run.load.connect(clients, at_once=count, authority=run.door.authority)
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
