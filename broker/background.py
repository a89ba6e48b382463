"""Work that goes on in the background until it is cancelled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")


def background(work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """Begin it. Whoever does keeps the task, and ends it with ``cancel``.

    Nobody waits for what it gives: a fault of ours that breaks it is logged as critical.
    """
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_tell_if_broken)
    return task


def _tell_if_broken(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (fault := task.exception()):
        log.critical("%s: broken", task.get_name(), exc_info=fault)
