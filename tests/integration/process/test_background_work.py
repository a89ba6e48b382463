"""A whole gateway, without a broker: whatever ends a loop of it, the loop begins anew and is shown.

So a loop that is not given to `broker.timing.tasks.Tasks` fails these tests.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import SystemRandom
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient

from gateway import config
from gateway.drain import Drain
from gateway.main import Serving, running

#: What works in every gateway as long as it lives.
LOOPS = {
    "AMQP link to r1",
    "bus: publishing",
    "bus: the beat",
    "outbox lease",
    "partition probe",
    "dashboard",
    "feed 0",
    "feed 1",
    "feeds",
    "session revocation",
    "dead queues",
    "history hints",
    "presence",
    "prober r1",
    "rebalancer",
    "membership revocation",
    "retention",
}


@pytest.fixture
def settings(tmp_path: Path) -> config.Config:
    # Port 9 (discard): nobody listens there.
    node = {"name": "r1", "web_stomp": "ws://127.0.0.1:9/ws", "amqp": "amqp://127.0.0.1:9"}
    tables: dict[str, Any] = {
        "server": {"address": "127.0.0.1", "port": 0, "internal_port": 0},
        "broker": {"nodes": [node], "user": "gateway", "password": "hunter2"},
        "store": {"url": f"sqlite:///{tmp_path}/interact.db"},
        "auth": {"secret": "the gateway's own secret, long enough"},
        "history": {"keep_days": 30},
    }
    return config.parse(tables, source="test")


def loops() -> Counter[str]:
    """Names of the tasks that work now."""
    return Counter(task.get_name() for task in asyncio.all_tasks() if not task.done())


@asynccontextmanager
async def gateway(settings: config.Config) -> AsyncIterator[Serving]:
    async with running(settings, Drain(lasts=0.0, rng=SystemRandom())) as serving:
        yield serving


async def readiness(serving: Serving) -> dict[str, Any]:
    answer = await AsyncHTTPClient().fetch(f"{serving.internal.url}/readyz", raise_error=False)
    problems: dict[str, Any] = json.loads(answer.body)["problems"]
    return problems


def test_every_loop_that_somebody_cancels_begins_anew_and_is_named(
    settings: config.Config, failures: list[str]
) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(60), gateway(settings) as serving:
            await asyncio.sleep(0)
            before = loops()
            assert before.keys() >= LOOPS
            cancelled = {task for task in asyncio.all_tasks() if task.get_name() in LOOPS}
            for task in cancelled:
                task.cancel()
            await asyncio.wait(cancelled)
            while not all(loops()[name] == before[name] for name in LOOPS):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            problems = await readiness(serving)
            assert {f"task {name}" for name in LOOPS} <= problems.keys()

    asyncio.run(scenario())
    assert set(failures) >= {f"{name} has failed and begins anew" for name in LOOPS}
    failures.clear()


def test_a_gateway_that_closes_leaves_nothing_running(settings: config.Config) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(60):
            async with gateway(settings):
                await asyncio.sleep(0.1)
            assert not asyncio.all_tasks() - {asyncio.current_task()}

    asyncio.run(scenario())


def test_failures_in_a_callback_of_the_event_loop_are_shown(
    settings: config.Config, failures: list[str]
) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(60), gateway(settings) as serving:
            nothing: dict[str, int] = {}
            asyncio.get_running_loop().call_soon(nothing.__getitem__, "nobody foresaw it")
            await asyncio.sleep(0)
            assert "KeyError" in (await readiness(serving))["task event loop"]

    asyncio.run(scenario())
    assert [each.partition(":")[0] for each in failures] == ["event loop has failed"]
    failures.clear()
