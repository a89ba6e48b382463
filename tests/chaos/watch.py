"""The gateways seen from outside during a run: memory, descriptors, tasks, outbox, failed work,
what they say of themselves, and what they cost the broker and the disk."""

import asyncio
import re
from collections.abc import Sequence
from http.client import HTTPException

import psutil

from devenv.cluster import Cluster
from tests.acceptance.gateway_process import GatewayProcess, NotRunning
from tests.chaos.journal import Journal

#: Seconds between two samples.
_INTERVAL = 5.0
_GAUGE = re.compile(
    r"^(gateway_(?:outbox_depth|connections|tasks|ready|peers)) (\S+)$", re.MULTILINE
)
_FAILING = re.compile(r'^gateway_state\{part="([^"]*)"\} 0\.0$', re.MULTILINE)
_FAILURES = re.compile(r'^gateway_task_failures_total\{task="([^"]*)"\} (\S+)$', re.MULTILINE)


class Watch:
    """Notes a sample of every gateway that runs, at regular intervals."""

    def __init__(
        self, gateways: Sequence[GatewayProcess], cluster: Cluster, journal: Journal
    ) -> None:
        self._gateways = gateways
        self._cluster = cluster
        self._journal = journal

    async def run(self) -> None:
        """Run until it is cancelled."""
        while True:
            await self.sample()
            await asyncio.to_thread(self._sample_broker)
            await asyncio.sleep(_INTERVAL)

    async def sample(self) -> int:
        """Note a sample of each gateway; the stored messages of all that nobody has published."""
        depths = [await self._sample(number) for number in range(len(self._gateways))]
        return sum(depths)

    async def _sample(self, number: int) -> int:
        gateway = self._gateways[number]
        try:
            process = psutil.Process(gateway.pid)
            text = await asyncio.to_thread(gateway.metrics)
            gauges = {name: int(float(value)) for name, value in _GAUGE.findall(text)}
            self._journal.note(
                "sample",
                gateway=number,
                pid=process.pid,
                memory=process.memory_info().rss,
                descriptors=process.num_fds(),
                connections=gauges["gateway_connections"],
                tasks=gauges["gateway_tasks"],
                outbox=gauges["gateway_outbox_depth"],
                database=gateway.database_bytes(),
                failures={task: float(times) for task, times in _FAILURES.findall(text)},
                ready=bool(gauges["gateway_ready"]),
                failing=_FAILING.findall(text),
                peers=gauges["gateway_peers"],
            )
        except (OSError, psutil.NoSuchProcess, HTTPException, NotRunning):
            # It was killed, or hangs: there is nothing to see.
            return 0
        return gauges["gateway_outbox_depth"]

    def _sample_broker(self) -> None:
        node, admin = self._cluster.nodes[0], self._cluster.admin
        overview = node.management("GET", "/api/overview", admin)
        nodes = node.management("GET", "/api/nodes?columns=name,mem_used", admin)
        # None while it is away; the sums come some seconds after the node.
        if overview and nodes and (totals := overview.get("object_totals")):
            self._journal.note(
                "broker",
                queues=totals["queues"],
                connections=totals["connections"],
                memory=sum(each.get("mem_used", 0) for each in nodes),
            )
