"""A whole gateway, without a broker: whatever ends a loop of it, the loop begins anew and is shown.

So a loop that is not given to `broker.timing.tasks.Tasks` fails these tests.
"""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import SystemRandom
from typing import Any

import psutil
import pytest
from tornado.httpclient import AsyncHTTPClient

from broker.feeds.feeds import Feeds
from broker.health.prober import Prober
from broker.publishing.publisher import Publisher
from gateway import config
from gateway.admin.dashboard import Dashboard
from gateway.auth.accounts import Accounts
from gateway.cluster.bus import Bus
from gateway.cluster.presence import Presence
from gateway.cluster.session_revocation import SessionRevocation
from gateway.drain import Drain
from gateway.http.listeners import Listener
from gateway.live.relay.rebalance import Rebalancer
from gateway.main import Serving, running
from gateway.messages.outbox import Outbox
from gateway.queues.acknowledged import Acknowledgements
from gateway.queues.mender import QueueMender
from gateway.reload import Reloadable
from gateway.store import Store

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
    "acknowledgements",
    "private queues that are consumed",
    "private queues that were replaced",
    "private queues without a confirm",
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


#: What is started one after the other, in this order.
STARTED = {
    "the publisher": (Publisher, "start"),
    "the prober": (Prober, "start"),
    "the acknowledgements": (Acknowledgements, "start"),
    "the private queues": (QueueMender, "start"),
    "the outbox": (Outbox, "start"),
    "what connects all parts": (Reloadable, "__init__"),
    "the endings of sessions": (SessionRevocation, "poll"),
    "the bus": (Bus, "start"),
    "the dashboard": (Dashboard, "start"),
    "presence": (Presence, "start"),
    "the rebalancer": (Rebalancer, "start"),
    "the feeds": (Feeds, "start"),
    "the listeners": (Listener, "open"),
}


def open_files() -> Counter[str]:
    """What the process has open, without the pipes and timers of event loops."""
    process = psutil.Process()
    connections = (f"{each.laddr}" for each in process.net_connections(kind="inet"))
    return Counter([*(each.path for each in process.open_files()), *connections])


class Unforeseen(Exception):
    """What nobody expects of a start."""


@pytest.mark.parametrize("what", STARTED)
def test_a_start_that_fails_halfway_closes_all_that_was_opened(
    settings: config.Config, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise Unforeseen(what)

    closed: list[str] = []
    close_store, close_accounts = Store.close, Accounts.close

    async def closing_store(store: Store) -> None:
        closed.append("store")
        await close_store(store)

    def closing_accounts(accounts: Accounts[Any]) -> None:
        closed.append("accounts")
        close_accounts(accounts)

    monkeypatch.setattr(*STARTED[what], fail)
    monkeypatch.setattr(Store, "close", closing_store)
    monkeypatch.setattr(Accounts, "close", closing_accounts)

    async def scenario() -> None:
        async with asyncio.timeout(60):
            with pytest.raises(Unforeseen, match=what):
                async with gateway(settings):
                    raise AssertionError("it serves")
            assert not asyncio.all_tasks() - {asyncio.current_task()}

    before = open_files()
    asyncio.run(scenario())
    assert closed == ["accounts", "store"]
    # A connection of the database that was in use while its pool was closed goes with the pool.
    gc.collect()
    assert open_files() - before == Counter()
    assert not [each.name for each in threading.enumerate() if each.name.startswith("argon2")]
