"""The running of a command's asynchronous part, and its end by an error."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import uvloop

from gateway.config import Config
from gateway.store import Store

T = TypeVar("T")


class Unusable(Exception):
    """The command cannot be carried out as given; the text says why."""


class WrongOptions(Exception):
    """The options of the command contradict each other; the text says how."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of the work, on an event loop of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


async def with_store(settings: Config, work: Callable[[Store], Awaitable[T]]) -> T:
    """The result of the work on the configured database, which is named on standard error."""
    store = await Store.open(
        settings.store.url.get_secret_value(),
        call_timeout=settings.store.timeout,
        connections=settings.store.connections,
    )
    # On standard error, because standard output is for the command's answer.
    sys.stderr.write(f"database {store.name}\n")
    try:
        return await work(store)
    finally:
        await store.close()
