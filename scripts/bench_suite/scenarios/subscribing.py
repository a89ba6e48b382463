"""Connecting the subscribers, where that itself is not measured."""

from collections.abc import Sequence

from bench_suite.load import LoadFailed
from bench_suite.run import Run
from bench_suite.subscriber import Client

#: Clients that connect at the same time.
_AT_ONCE = 50


def subscribe(run: Run, clients: Sequence[Client]) -> None:
    """Subscribe all clients. Raises `LoadFailed` unless all succeed."""
    run.progress(f"{len(clients)} clients connect")
    connected = run.load.connect(clients, at_once=_AT_ONCE, authority=run.door.authority)
    if connected.failures:
        raise LoadFailed(
            f"{len(connected.failures)} of {len(clients)} clients did not get in: "
            f"{connected.failures[0]}"
        )
