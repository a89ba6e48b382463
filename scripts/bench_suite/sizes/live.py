"""More and more clients of one topic, rooms in which everyone speaks, and gateways beside each
other: what each of them costs."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Final

from bench_suite.gateways import MEASURED, Gateway, gateway
from bench_suite.load import LoadFailed, load
from bench_suite.proc import memory_bytes
from bench_suite.result import Row, percentile
from bench_suite.run import Run, Scale, broker_pids, surroundings
from bench_suite.scenarios import rooms
from bench_suite.sizes.series import Growth, Series
from bench_suite.system import Door, Lab, Progress
from bench_suite.topic import Source
from bench_suite.window import Stopwatch
from devenv.errors import SetupError
from devenv.postgres import Postgres

CLIENTS: Final = (50, 500, 5_000, 10_000, 20_000)
ROOMS: Final = (5, 50, 500)
GATEWAYS: Final = (1, 2, 3)
_OF_CLIENTS: Final = (
    Growth("come", "coming: gateway µs for each", digits=0),
    Growth("bytes", "memory, bytes for each", digits=0),
    Growth("gateway", "a delivery: gateway µs", digits=2),
    Growth("rabbitmq", "a message: RabbitMQ µs", digits=0),
    Growth("p99", "p99, ms", most=1.0),
)
_OF_ROOMS: Final = (
    Growth("gateway", "a delivery: gateway µs"),
    Growth("rabbitmq", "a delivery: RabbitMQ µs"),
    Growth("bytes", "memory of the gateway, bytes for each room", digits=0),
    Growth("rabbitmq_bytes", "memory of RabbitMQ, bytes for each room", digits=0),
)
_OF_GATEWAYS: Final = (
    Growth("gateway", "a message: all gateways, µs", most=1.0, digits=0),
    Growth("rabbitmq", "a message: RabbitMQ µs", most=1.0, digits=0),
    Growth("idle", "doing nothing: all gateways, ms a second", most=1.0),
    Growth("idle_database", "doing nothing: PostgreSQL, ms a second", most=1.0),
    Growth("p99", "p99, ms", digits=1),
)
#: More people than a gateway serves by default.
_ROOMY: Final[Mapping[str, Any]] = {
    "limits": MEASURED["limits"]
    | {"connections": 40_000, "http_connections": 40_000, "http_connections_per_address": 40_000}
}
#: Deliveries a second at most: what the load generator takes without a delay of its own.
_DELIVERIES: Final = 30_000.0
_FASTEST: Final = 20.0
#: Clients that follow the topic of several gateways, and messages a second there.
_FOLLOWERS, _RATE = 300, 20.0
#: Of what is measured while nothing happens.
_IDLE_SECONDS: Final = 5.0


def of_clients(lab: Lab, scale: Scale, *, workers: int) -> Series:
    """All of them come at once, and then follow one topic."""
    return _series(
        Series("clients", "subscribers of one topic", _OF_CLIENTS),
        [size for size in CLIENTS if size <= scale.many],
        lambda size: _followed(lab, replace(scale, clients=size), workers),
        lab.progress,
    )


def of_rooms(lab: Lab, scale: Scale, *, workers: int) -> Series:
    """Rooms of ten."""
    return _series(
        Series("rooms", "rooms of 10, everyone speaks", _OF_ROOMS),
        [size for size in ROOMS if size * rooms.SIZE <= scale.many],
        lambda size: _talked(lab, replace(scale, clients=size * rooms.SIZE), workers),
        lab.progress,
    )


def of_gateways(lab: Lab, scale: Scale, *, workers: int) -> Series:
    """On PostgreSQL, with as many followers in all, shared evenly."""
    return _series(
        Series("gateways", "gateways beside each other", _OF_GATEWAYS),
        GATEWAYS,
        lambda size: _beside(lab, scale, size, workers),
        lab.progress,
    )


def _series(
    series: Series,
    sizes: Sequence[int],
    measure: Callable[[int], dict[str, float]],
    say: Progress,
) -> Series:
    for size in sizes:
        try:
            series.points[size] = measure(size)
        except (LoadFailed, SetupError, RuntimeError, OSError) as error:
            series.failures[size] = f"{type(error).__name__}: {error}"
        said = series.failures.get(size) or ", ".join(
            f"{key} {value:,.1f}" for key, value in series.points[size].items()
        )
        say(f"{series.name}, {size:,}: {said}")
    return series


def _followed(lab: Lab, scale: Scale, workers: int) -> dict[str, float]:
    row = Row("sizes", "shared", tls=False)
    with (
        surroundings(lab, scale, row, workers=workers, further=_ROOMY) as run,
        Source(run) as source,
    ):
        before, count = memory_bytes(run.door.pids), scale.clients
        run.progress(f"{count:,} clients come at once")
        watch = run.stopwatch()
        connected = run.load.connect(run.door.subscribers(count, source.topic), at_once=count)
        run.charge(watch.stop(), connected.ready, suffix="_come")
        if connected.failures:
            raise LoadFailed(f"{len(connected.failures)} did not get in: {connected.failures[0]}")
        rate = min(_FASTEST, _DELIVERIES / count)
        source.steadily(rate, 1.0)
        source.arrived()
        bytes_each = (memory_bytes(run.door.pids) - before) / count
        messages, p99 = _steadily(run, source, rate)
        run.judge(run.load.verdict(first=1, last=source.published))
        values = run.row.values
        _no_faults(row)
        return {
            "come": values["cpu_system_come"],
            "bytes": bytes_each,
            "gateway": values["cpu_system"] / count,
            "rabbitmq": values["cpu_rabbitmq"],
            "p99": p99,
            "messages": messages,
        }


def _steadily(run: Run, source: Source, rate: float) -> tuple[int, float]:
    """Publish for a while: how many, and the p99 in milliseconds; the row has the CPU of each."""
    run.load.watch()
    before, watch = source.published, run.stopwatch()
    source.steadily(rate, run.scale.seconds)
    source.arrived()
    messages = source.published - before
    run.charge(watch.stop(), messages)
    delays = run.load.verdict(first=1, last=source.published).delays
    run.load.forget()
    return messages, percentile(delays, 0.99) / 1e6


def _talked(lab: Lab, scale: Scale, workers: int) -> dict[str, float]:
    row = Row("sizes", "shared", tls=False)
    with surroundings(lab, scale, row, workers=workers, further=_ROOMY) as run:
        before, of_brokers = memory_bytes(run.door.pids), memory_bytes(run.brokers)
        rooms.measure(run)
        count = scale.clients // rooms.SIZE
        _no_faults(row)
        return {
            "gateway": row.values["cpu_system"],
            "rabbitmq": row.values["cpu_rabbitmq"],
            "rate": row.values["rate"],
            "bytes": max(0, memory_bytes(run.door.pids) - before) / count,
            "rabbitmq_bytes": max(0, memory_bytes(run.brokers) - of_brokers) / count,
        }


def _beside(lab: Lab, scale: Scale, count: int, workers: int) -> dict[str, float]:
    lab.progress(f"{count} gateways")
    lab.cluster.delete_queues()
    with ExitStack() as stack:
        database = Postgres(lab.folder)
        stack.callback(database.destroy)
        database.start()
        database.create_database("sizes")
        gateways: list[Gateway] = []
        for _ in range(count):
            one_more = gateway(
                lab,
                fanout="shared",
                tls=False,
                store=database.url("sizes"),
                further=_ROOMY,
                beside=tuple(gateways),
            )
            gateways.append(stack.enter_context(one_more))
        first = gateways[0]
        door = Door(
            name="gateways",
            addresses=[address for each in gateways for address in each.door.addresses],
            pids=[pid for each in gateways for pid in each.door.pids],
            who=first.door.who,
        )
        generator = stack.enter_context(load(workers))
        row, brokers = Row("sizes", "shared", tls=False), broker_pids(lab)
        run = Run(lab, door, first, generator, scale, row, brokers, 0.0, lab.progress)
        source = stack.enter_context(Source(run))
        connected = generator.connect(door.subscribers(_FOLLOWERS, source.topic), at_once=50)
        if connected.failures:
            raise LoadFailed(f"{len(connected.failures)} did not get in: {connected.failures[0]}")
        source.steadily(_RATE, 1.0)
        source.arrived()
        idle = _idle(door, database)
        _, p99 = _steadily(run, source, _RATE)
        run.judge(generator.verdict(first=1, last=source.published))
        _no_faults(row)
        return {
            "gateway": row.values["cpu_system"],
            "rabbitmq": row.values["cpu_rabbitmq"],
            "p99": p99,
            **idle,
        }


def _idle(door: Door, database: Postgres) -> dict[str, float]:
    """Milliseconds a second that they take while nothing is said."""
    watch = Stopwatch({"gateway": door.pids, "database": database.pids})
    time.sleep(_IDLE_SECONDS)
    cost = watch.stop()
    return {
        "idle": 1000 * cost.share("gateway"),
        "idle_database": 1000 * cost.share("database"),
    }


def _no_faults(row: Row) -> None:
    if row.faults:
        raise LoadFailed("; ".join(row.told[:3]))
