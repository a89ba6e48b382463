"""Durable POSTs, compared with the obvious way, an empty Tornado handler, and publishing alone."""

from bench_suite import native
from bench_suite.gateways import USERS, Gateway, user
from bench_suite.load import LoadFailed
from bench_suite.poster import Posted, Target
from bench_suite.queues import private_queues
from bench_suite.result import Figure, percentile
from bench_suite.run import AIORMQ, OBVIOUS, Run
from bench_suite.scenarios.subscribing import subscribe
from bench_suite.topic import Source
from broker.topology import Audience, Stream

FIGURES = (
    Figure("rate", "POST/s", "more"),
    Figure("cpu_system", "system µs", "less"),
    Figure("cpu_rabbitmq", "RabbitMQ µs"),
    Figure("cpu_database", "PostgreSQL µs"),
    Figure("p50", "p50 ms", "less", 1),
    Figure("p99", "p99 ms", "less", 1),
    Figure("late", "202"),
    Figure("flush", "flush µs"),
    Figure("load_share", "load %"),
)
CONNECTIONS = 64
_STREAM = Stream(Audience.PUBLIC, 1)


def measure(run: Run) -> None:
    """Send the next POST on each connection as soon as the last one was answered."""
    run.progress(f"{CONNECTIONS} at a time")
    run.row.values["flush"] = native.flush(run.lab.folder)
    if run.gateway is not None:
        _through(run, run.gateway)
    elif run.row.system == AIORMQ:
        _published(run)
    else:
        if run.row.system == OBVIOUS:
            private_queues(run, 1)
        target = Target(run.door.addresses[0][1], "/", ("",))
        watch = run.stopwatch()
        posted = run.load.post(target, CONNECTIONS, run.scale.seconds, _STREAM)
        run.charge(watch.stop(), len(posted.delays))
        _note(run, posted)


def _published(run: Run) -> None:
    """To a room's private queue, which the brokers keep on several nodes, as with a POST."""
    account = run.lab.cluster.admin
    address = run.lab.cluster.nodes[0].amqp_url.removeprefix("amqp://")
    url = f"amqp://{account.name}:{account.password}@{address}/"
    private_queues(run, 1)
    watch = run.stopwatch()
    posted = run.load.publish(url, CONNECTIONS, run.scale.seconds)
    run.charge(watch.stop(), len(posted.delays))
    _note(run, posted)


def _through(run: Run, gateway: Gateway) -> None:
    """One listener checks that every answered message arrives, in order and once."""
    with Source(run) as source:
        subscribe(run, run.door.subscribers(1, source.topic))
        target = Target(
            gateway.port,
            f"/api/rooms/{source.stream.room}/messages",
            [
                f"Authorization: Bearer {gateway.token(user(index))}\r\n"
                for index in range(min(CONNECTIONS, USERS))
            ],
            run.door.authority,
        )
        watch = run.stopwatch()
        posted = run.load.post(target, CONNECTIONS, run.scale.seconds, source.stream)
        run.charge(watch.stop(), len(posted.delays))
        _note(run, posted)
        if sorted(posted.seqs) != list(range(1, len(posted.seqs) + 1)):
            run.row.faults += 1
            run.row.told.append("the numbers that were answered have holes or repetitions")
        source.published = len(posted.seqs)
        source.arrived()
        run.judge(run.load.verdict(first=1, last=source.published))


def _note(run: Run, posted: Posted) -> None:
    refused = {status: n for status, n in posted.answers.items() if status not in (201, 202)}
    if refused or posted.failures:
        raise LoadFailed(f"refused (status: how many): {refused}; {posted.failures[:1]}")
    run.row.values["rate"] = len(posted.delays) / posted.seconds
    run.row.values["p50"] = percentile(posted.delays, 0.5) / 1e6
    run.row.values["p99"] = percentile(posted.delays, 0.99) / 1e6
    run.row.values["late"] = posted.answers.get(202, 0)
