"""One publisher, many subscribers of one topic: slowly for the latency, then at saturation."""

import time
from collections.abc import Sequence

from bench_suite import native
from bench_suite.load import LoadFailed
from bench_suite.result import Figure, percentile
from bench_suite.run import Run
from bench_suite.scenarios.subscribing import subscribe
from bench_suite.subscriber import Client
from bench_suite.topic import Source, Topic

FIGURES = (
    Figure("rate", "deliveries/s", "more"),
    Figure("cpu_system", "system", digits=2),
    Figure("cpu_rabbitmq", "RabbitMQ µs", digits=2),
    Figure("cpu_total", "CPU µs", "less", 2),
    Figure("cpu_total_calm", "at 20/s: CPU µs", "less", 2),
    Figure("floor", "floor µs", digits=2),
    Figure("p50", "p50 ms", "less", 1),
    Figure("p99", "p99 ms", "less", 1),
    Figure("load_share", "load %"),
)

#: Messages a second of the calm part.
CALM = 20.0
#: Of the floor, what sending alone takes: the bytes of a message's frame, and how long it is
#: measured.
_FRAME, _FLOOR_SECONDS = 330, 3.0
#: Messages in flight: what is delivered in this time, but no fewer and no more than so many.
_LEAST, _MOST, _AHEAD = 100, 1000, 0.25
#: The stock lasts for more than was ever delivered: messages a second through the shared gateway,
#: deliveries a second through the others.
_STOCK, _STOCK_OF_OTHERS = 6_000, 100_000
#: Of the seconds that count: those before them.
_WARM_UP = 0.25
#: Messages that are published at once.
_BATCH = 64


def measure(run: Run) -> None:
    """Measure the topic of a room."""
    with Source(run) as source:
        measure_topic(run, source, run.door.subscribers(run.scale.clients, source.topic))


def measure_topic(run: Run, source: Topic, clients: Sequence[Client]) -> None:
    """Latency, CPU for each delivery, and deliveries a second at saturation."""
    subscribe(run, clients)
    _calmly(run, source)
    _saturated(run, source)
    run.judge(run.load.verdict(first=1, last=source.published))


def _calmly(run: Run, source: Topic) -> None:
    run.progress(f"{run.scale.clients} subscribers, {CALM:.0f} messages/s")
    source.steadily(CALM, 1.0)
    source.arrived()
    if run.gateway is not None:
        run.row.values["floor"] = native.floor(
            run.lab.folder,
            sockets=run.scale.clients,
            size=_FRAME,
            rate=int(CALM),
            seconds=min(run.scale.seconds, _FLOOR_SECONDS),
        )
    run.load.watch()
    before = source.published
    watch = run.stopwatch()
    source.steadily(CALM, run.scale.seconds)
    source.arrived()
    run.charge(watch.stop(), (source.published - before) * run.scale.clients, suffix="_calm")
    delays = run.load.verdict(first=1, last=source.published).delays
    run.row.values["p50"] = percentile(delays, 0.5) / 1e6
    run.row.values["p99"] = percentile(delays, 0.99) / 1e6
    run.load.forget()


def _saturated(run: Run, source: Topic) -> None:
    warm_up = _WARM_UP * run.scale.seconds
    seconds = warm_up + run.scale.seconds
    shared = run.row.system == "shared"
    ready = source.stock(
        int(seconds * (_STOCK if shared else 100 + _STOCK_OF_OTHERS / run.scale.clients))
    )
    run.progress(f"{run.scale.clients} subscribers, as fast as it goes")
    load, flood = run.load, source.flood
    if run.load.position > source.published:
        raise LoadFailed("the stock of messages was delivered before it was published")
    ready.reverse()
    started, begun = time.monotonic(), load.position
    watch, counted = None, 0
    while ready and (now := time.monotonic()) < started + seconds:
        if watch is None and now > started + warm_up:
            watch, counted = run.stopwatch(), load.position
        done = load.position
        rate = (done - begun) / max(now - started, 0.1)
        room = min(max(rate * _AHEAD, _LEAST), _MOST) - (source.published - done)
        if room >= 1:
            batch = [ready.pop() for _ in range(min(int(room), _BATCH, len(ready)))]
            flood.publish(batch)
            source.published += len(batch)
            flood.confirm()
        else:
            flood.confirm(0.001)
    if watch is None:
        raise LoadFailed("the stock of messages was gone before it counted")
    cost, deliveries = watch.stop(), (load.position - counted) * run.scale.clients
    run.charge(cost, deliveries)
    run.row.values["rate"] = deliveries / cost.seconds
    source.arrived()
