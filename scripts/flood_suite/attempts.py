"""Doing something again and again, and counting what comes of it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from flood_suite.sockets import Refused

#: Seconds before the next try after one that failed. A flood that does not wait at all would
#: measure how fast this machine refuses, with the flood's own CPU in it.
_PAUSE = 0.02

Tally = Counter[str]


async def again(tally: Tally, action: Callable[[], Awaitable[str]]) -> None:
    """Repeat an action until cancelled, and count what each says, or why it failed."""
    while True:
        try:
            tally[await action()] += 1
        except Refused as refused:
            tally[f"refused: {refused}"] += 1
            await asyncio.sleep(_PAUSE)
        except (OSError, EOFError) as error:
            tally[type(error).__name__] += 1
            await asyncio.sleep(_PAUSE)


async def side_by_side(count: int, tally: Tally, action: Callable[[int], Awaitable[str]]) -> None:
    """Repeat an action at so many places at the same time, until cancelled; it gets the number of
    its place."""
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(again(tally, partial(action, number)))


async def first_of(*parts: Coroutine[Any, Any, None]) -> None:
    """Run all parts until one of them ends or fails, then end the others. (A TaskGroup of Python
    3.11 forgets that it was cancelled if a part fails in that moment.)"""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
