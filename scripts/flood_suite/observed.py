"""The gateway seen from outside: CPU, memory and descriptors from /proc, gauges from /metrics."""

import http.client
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench_suite.gateways import Gateway
from bench_suite.proc import cpu_seconds, descriptors, memory_bytes
from flood_suite.judge import Cost, State

_GAUGE = re.compile(r"^(gateway_(?:connections|tasks)) (\S+)$", re.MULTILINE)
#: Seconds between two looks at a window.
_LOOK = 0.25
#: Seconds for an answer of the internal listener.
_PATIENCE = 10.0


class Unseen(Exception):
    """The gateway's internal listener does not answer."""


def state(gateway: Gateway) -> State:
    """The gateway now. Raises `Unseen`."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.internal_port, timeout=_PATIENCE)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException) as error:
        raise Unseen(f"/metrics: {type(error).__name__}: {error}") from error
    finally:
        connection.close()
    gauges = {name: int(float(value)) for name, value in _GAUGE.findall(text)}
    pids = gateway.door.pids
    return State(
        memory_bytes(pids),
        descriptors(pids),
        gauges["gateway_connections"],
        gauges["gateway_tasks"],
    )


class Meter:
    """The cost of a stretch of time, which is there when it is over."""

    cost = Cost(0.0, 0, 0)


@contextmanager
def metered(pids: Sequence[int]) -> Iterator[Meter]:
    """Look at the processes now and then, from a thread of its own."""
    meter = Meter()
    over = threading.Event()
    memory, files = [0], [0]

    def look() -> None:
        while True:
            memory.append(memory_bytes(pids))
            files.append(descriptors(pids))
            if over.wait(_LOOK):
                return

    watcher = threading.Thread(target=look, daemon=True)
    began, before = time.monotonic(), cpu_seconds(pids)
    watcher.start()
    try:
        yield meter
    finally:
        over.set()
        watcher.join()
        cpu = (cpu_seconds(pids) - before) / (time.monotonic() - began)
        meter.cost = Cost(cpu, max(memory), max(files))
