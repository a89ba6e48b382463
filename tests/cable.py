"""A network cable between two parts, e.g. a browser and its gateway, to pull.

Playwright's `set_offline` leaves WebSockets alone that are open already.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from threading import Event, Thread
from typing import Final

#: Seconds, and the part of what is sent.
LATE: Final = 0.4
BROKEN: Final = 0.1


class Cable:
    """Listens on `port` of loopback and passes all bytes on to `target`, both ways."""

    def __init__(self, port: int, target: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._target = target
        self._plugged_in = True
        self._chance: Random | None = None
        #: Connections that the bad line has broken.
        self.breaks = 0
        self._passing = asyncio.Event()
        self._passing.set()
        self._dead: list[asyncio.Event] = []
        self._removed = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._laid = Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def unplug(self) -> None:
        """Every connection breaks, and none can be made."""
        self._plugged_in = False
        self._call(self._break)

    def plug_in(self) -> None:
        self._plugged_in = True

    def hold(self) -> None:
        """Connections stay open, but nothing comes through any more."""
        self._call(self._stop_passing)

    def go_dead(self) -> None:
        """As :meth:`hold`, for ever, for the connections that are there: to both ends they seem to
        stand. New ones work, as after a sleep."""
        self._call(self._replace_passing)

    def degrade(self, chance: Random | None) -> None:
        """A bad line: what is sent comes up to :data:`LATE` seconds late, and one in ten times it
        is lost with its connection. None: a good one again."""
        self._chance = chance

    def release(self) -> None:
        self._call(self._go_on_passing)

    @contextmanager
    def laid(self) -> Iterator[None]:
        """In a thread of its own: Playwright's loop lets no other one run in its thread."""
        thread = Thread(target=asyncio.run, args=(self._serve(),))
        thread.start()
        self._laid.wait()
        try:
            yield
        finally:
            self._call(self._removed.set)
            thread.join()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        self._laid.set()
        async with server:
            await self._removed.wait()
            self._passing.set()
            for dead in self._dead:
                dead.set()
            self._break()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._plugged_in:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except ConnectionError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        try:
            await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
        finally:
            self._writers -= {writer, back}

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passing = self._passing
        try:
            while data := await reader.read(65_536):
                await passing.wait()
                if (chance := self._chance) is not None:
                    await asyncio.sleep(LATE * chance.random())
                    if chance.random() < BROKEN:
                        self.breaks += 1
                        writer.transport.abort()
                        return
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    def _stop_passing(self) -> None:
        self._passing.clear()

    def _go_on_passing(self) -> None:
        self._passing.set()

    def _replace_passing(self) -> None:
        self._stop_passing()
        self._dead.append(self._passing)
        self._passing = asyncio.Event()
        self._passing.set()

    def _break(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def _call(self, function: Callable[[], None]) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(function)
