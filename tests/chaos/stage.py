"""The servers of a run, and how each fault is caused and undone."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress

from devenv.cluster import Cluster
from devenv.errors import SetupError
from devenv.postgres import Postgres
from tests.acceptance.broker_view import write_down
from tests.acceptance.gateway_process import GatewayProcess
from tests.chaos.cables import Cables
from tests.chaos.journal import Journal
from tests.chaos.schedule import AHEAD, Fault, Kind
from tests.chaos.wrong_clock import WrongClock

#: Seconds in which nodes that only hung must be one cluster again.
_REJOIN = 60.0


class Stage:
    """The cluster, database and gateways of a run.

    `postgres` is None when the gateways keep their history otherwise. `cables` are those of the
    last gateway, `clocks` those of all; none of a gateway that is alone.
    """

    def __init__(
        self,
        cluster: Cluster,
        gateways: Sequence[GatewayProcess],
        postgres: Postgres | None,
        journal: Journal,
        *,
        cables: Cables | None = None,
        clocks: Sequence[WrongClock] = (),
    ) -> None:
        self.cluster = cluster
        self._gateways = gateways
        self._postgres = postgres
        self._journal = journal
        self._cables = cables
        self._clocks = clocks

    async def suffer(self, number: int, fault: Fault) -> None:
        """Break, wait, repair, and wait until everything is as before. Not for clients' faults."""
        what = {"fault": number, "kind": fault.kind, "target": fault.target}
        if fault.kind is Kind.ALL_NODES_DOWN:
            await asyncio.to_thread(write_down, self.cluster)
        self._journal.note("begin", **what)
        await asyncio.to_thread(self._break, fault)
        await asyncio.sleep(fault.seconds)
        self._journal.note("end", **what)
        await asyncio.to_thread(self._mend, number, fault)
        self._journal.note("recovered", **what)

    def _break(self, fault: Fault) -> None:
        match fault.kind:
            case Kind.KILL_NODE | Kind.HANG_NODE | Kind.STOP_NODE | Kind.ALL_NODES_DOWN:
                _break_nodes(self.cluster, fault)
            case Kind.KILL_GATEWAY:
                self._gateways[fault.target].kill()
            case Kind.DRAIN_GATEWAY:
                self._gateways[fault.target].stop()
            case Kind.RESTART_POSTGRES | Kind.FREEZE_POSTGRES | Kind.BREAK_POOLS:
                assert self._postgres is not None
                _break(self._postgres, fault.kind)
            case Kind.CUT_OFF_GATEWAY:
                assert self._cables is not None
                self._cables.cut()
            case Kind.CLOCKS_APART:
                self._clocks[fault.target].set(AHEAD)

    def _mend(self, number: int, fault: Fault) -> None:
        match fault.kind:
            case Kind.HANG_NODE:
                self.cluster.resume_node(fault.target)
                self._rejoined(number, fault.target)
            case Kind.KILL_NODE | Kind.STOP_NODE | Kind.ALL_NODES_DOWN:
                self.cluster.start()
            case Kind.KILL_GATEWAY | Kind.DRAIN_GATEWAY:
                self._gateways[fault.target].start()
            case Kind.FREEZE_POSTGRES:
                assert self._postgres is not None
                self._postgres.resume()
            case Kind.CUT_OFF_GATEWAY:
                assert self._cables is not None
                self._cables.mend()
            case Kind.CLOCKS_APART:
                self._clocks[fault.target].set(0.0)
        for gateway in self._gateways:
            gateway.await_ready()

    def _rejoined(self, number: int, node: int) -> None:
        deadline = time.monotonic() + _REJOIN
        while time.monotonic() < deadline:
            if self.cluster.ready():
                return
            time.sleep(0.5)
        # What an operator would do: it may stay partitioned although pause_minority is set.
        self._journal.note("operator", fault=number, why=f"node {node} had to be started again")
        self.cluster.kill_node(node)
        with suppress(SetupError):
            self.cluster.start()
            return
        self._journal.note("operator", fault=number, why="the cluster had to be started again")
        self.cluster.stop()
        self.cluster.start()


def _break_nodes(cluster: Cluster, fault: Fault) -> None:
    match fault.kind:
        case Kind.KILL_NODE:
            cluster.kill_node(fault.target)
        case Kind.HANG_NODE:
            cluster.pause_node(fault.target)
        case Kind.STOP_NODE:
            cluster.stop_node(fault.target)
        case Kind.ALL_NODES_DOWN:
            for node in cluster.nodes:
                cluster.kill_node(node.number)


def _break(postgres: Postgres, kind: Kind) -> None:
    match kind:
        case Kind.RESTART_POSTGRES:
            postgres.restart()
        case Kind.FREEZE_POSTGRES:
            postgres.pause()
        case Kind.BREAK_POOLS:
            postgres.break_connections()
