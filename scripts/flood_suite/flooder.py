"""The process of a flood: it begins and ends it when it is told, and counts what came of it."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module

from flood_suite.catalogue import FLOODS
from flood_suite.priority import put_last
from flood_suite.site import Site


class Flooder:
    """One flood of the catalogue against one gateway."""

    def __init__(self, name: str, site: Site) -> None:
        entry = FLOODS[name]
        self._module = import_module(f"flood_suite.floods.{entry.module}")
        self._arguments = entry.arguments
        self._site = site
        self.tally: Counter[str] = Counter()
        self._going: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        """What has to be there before: a room full of messages, for some."""
        if prepare := getattr(self._module, "prepare", None):
            await prepare(self._site)

    async def put_last(self) -> None:
        """Let others have the CPU first."""
        put_last()

    async def begin(self) -> None:
        self.tally.clear()
        # uvloop tells of each TLS connection that is cut while it has something to write.
        asyncio.get_running_loop().set_exception_handler(self._cut_off)
        flood = self._module.flood(self._site, self.tally, **self._arguments)
        self._going = asyncio.create_task(flood)

    async def end(self) -> Mapping[str, int]:
        """Close all its connections; returns what came of it, by the answer. A fault of the flood
        itself is raised."""
        assert self._going is not None  # noqa: S101 - for the type checker
        self._going.cancel()
        with suppress(asyncio.CancelledError):
            await self._going
        return dict(self.tally)

    def _cut_off(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        self.tally[str(context.get("message", "cut off"))] += 1
