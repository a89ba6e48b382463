"""The tables of a room, each as a stream of texts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Final

from broker.topology import Audience
from gateway.domain.message import Message
from gateway.reports import polls, questions, talk
from gateway.reports.attendance_sheet import AttendanceSheet
from gateway.reports.cells import Row, Style
from gateway.reports.polls import Polls
from gateway.reports.questions import Questions
from gateway.reports.reading import Reading

#: Rows of a table that is made from memory, in one turn of the loop.
ROWS: Final = 250

Write = Callable[[Iterable[Row], Style], str]


class Tables:
    """The tables of one room, as ``write`` writes their rows. ``now``: what lasts is counted until
    then."""

    def __init__(self, reading: Reading, style: Style, write: Write) -> None:
        self._reading = reading
        self._style = style
        self._write = write

    async def attendance(self, now: datetime) -> AsyncGenerator[str, None]:
        """The attendance."""
        sheet = AttendanceSheet(now)
        async with aclosing(self._reading.stays()) as pages:
            async for page in pages:
                yield self._text(sheet.take(page))
        yield self._text(sheet.rest())

    async def answers(self, now: datetime) -> AsyncGenerator[str, None]:
        """The answers of everybody to the polls."""
        found = await self._polls()
        private = Audience.PRIVATE
        await _all(self._reading.messages(private, found.count, types=polls.PRIVATE))
        rows = self._made(found.answers)
        async with aclosing(self._reading.messages(private, rows, types=polls.PRIVATE)) as texts:
            async for text in texts:
                yield text

    async def totals(self, now: datetime) -> AsyncGenerator[str, None]:
        """The polls and their results."""
        rows = (await self._polls()).totals()
        for start in range(0, len(rows), ROWS):
            yield self._text(rows[start : start + ROWS])

    async def questions(self, now: datetime) -> AsyncGenerator[str, None]:
        """The questions and their answers."""
        found = Questions()
        public, private = Audience.PUBLIC, Audience.PRIVATE
        await _all(self._reading.messages(public, found.take, types=questions.PUBLIC))
        await _all(self._reading.messages(private, found.settle, types=questions.FATES))
        rows = self._made(found.rows)
        async with aclosing(
            self._reading.messages(private, rows, types=questions.PRIVATE)
        ) as texts:
            async for text in texts:
                yield text

    async def messages(self, now: datetime) -> AsyncGenerator[str, None]:
        """Every message: those to everyone, then those to the hosts."""
        rows = self._made(talk.Talk().rows)
        for audience in Audience:
            async with aclosing(self._reading.messages(audience, rows)) as texts:
                async for text in texts:
                    yield text

    async def said(self, now: datetime) -> AsyncGenerator[str, None]:
        """The talk to everyone."""
        rows = self._made(talk.said)
        async with aclosing(
            self._reading.messages(Audience.PUBLIC, rows, types=talk.SAID)
        ) as texts:
            async for text in texts:
                yield text

    async def _polls(self) -> Polls:
        found = Polls()
        public = Audience.PUBLIC
        await _all(self._reading.messages(public, found.take, types=polls.PUBLIC))
        return found

    def _made(
        self, rows: Callable[[Iterable[Message]], Sequence[Row]]
    ) -> Callable[[Sequence[Message]], str]:
        """The rows as text, where the page is read."""
        return lambda messages: self._write(rows(messages), self._style)

    def _text(self, rows: Sequence[Row]) -> str:
        return self._write(rows, self._style) if rows else ""


async def _all(pages: AsyncGenerator[None, None]) -> None:
    """Read all pages, for what is made of them."""
    async for _ in pages:
        pass
