"""The gateways seen from outside during a run: memory, descriptors, outbox, failed work."""

import asyncio
import re
from collections.abc import Sequence
from http.client import HTTPException

import psutil

from tests.acceptance.gateway_process import GatewayProcess, NotRunning
from tests.chaos.journal import Journal

#: Seconds between two samples.
_INTERVAL = 5.0
_DEPTH = re.compile(r"^gateway_outbox_depth (\S+)$", re.MULTILINE)
_FAILURES = re.compile(r'^gateway_task_failures_total\{task="([^"]*)"\} (\S+)$', re.MULTILINE)


class Watch:
    """Notes a sample of every gateway that runs, at regular intervals."""

    def __init__(self, gateways: Sequence[GatewayProcess], journal: Journal) -> None:
        self._gateways = gateways
        self._journal = journal

    async def run(self) -> None:
        """Run until it is cancelled."""
        while True:
            await self.sample()
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
            depth = _DEPTH.search(text)
            assert depth is not None, "the metrics name no outbox"
            self._journal.note(
                "sample",
                gateway=number,
                pid=process.pid,
                memory=process.memory_info().rss,
                descriptors=process.num_fds(),
                outbox=int(float(depth[1])),
                failures={task: float(times) for task, times in _FAILURES.findall(text)},
            )
        except (OSError, psutil.NoSuchProcess, HTTPException, NotRunning):
            # It was killed, or hangs: there is nothing to see.
            return 0
        return int(float(depth[1]))
