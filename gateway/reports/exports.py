"""The export of a room for its hosts: tables as CSV, and one page to print.

A room may have a million messages. So an export is a stream: a page of the history is read and made
into text in the database's thread, given to the client, and only then the next one is read.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from enum import StrEnum
from typing import Any

from broker.timing.readings import UtcTime
from gateway.auth.permissions import Permissions
from gateway.budget.budgets import Budgets
from gateway.budget.rank import rank_of
from gateway.budget.table import EXPORT_BYTES, EXPORTS
from gateway.domain.identity import Identity
from gateway.domain.room import MemberRole, Room
from gateway.errors import UnknownRoom
from gateway.messages.turns import Turns
from gateway.reports import attendance_sheet, csv_text, html_text, polls, questions, talk
from gateway.reports.cells import Style
from gateway.reports.reading import Reading, ReportStore
from gateway.reports.tables import Tables


class Kind(StrEnum):
    """The tables of a room."""

    ATTENDANCE = "attendance"
    POLLS = "polls"
    QUESTIONS = "questions"
    MESSAGES = "messages"


class Exports:
    """The service for reports, for hosts. It checks the permissions before anything is read, and
    again before each page."""

    def __init__(
        self,
        store: ReportStore,
        permissions: Permissions,
        turns: Turns,
        *,
        budgets: Budgets,
        clock: UtcTime,
    ) -> None:
        self._store = store
        self._permissions = permissions
        self._turns = turns
        self._places = budgets.cap(EXPORTS)
        self._rate = budgets.rate(EXPORT_BYTES)
        self._clock = clock

    async def csv(
        self, who: Identity, room: int, kind: Kind, style: Style
    ) -> AsyncGenerator[bytes, None]:
        """The parts of a table as CSV.

        Raises, before the first part: :class:`Refused`, :class:`UnknownRoom`,
        :class:`TooManyExports`, :class:`ExportsBusy`. Later: :class:`ReadsBusy`,
        :class:`StoreUnavailable`, and :class:`Refused` when the user is no host any more.
        """
        reading = self._reading(who, room)
        await reading.check()
        with self._places.take(who.user, rank=rank_of(who, MemberRole.HOST)):
            tables = Tables(reading, style, csv_text.lines)
            columns, parts = {
                Kind.ATTENDANCE: (attendance_sheet.COLUMNS, tables.attendance),
                Kind.POLLS: (polls.ANSWERS, tables.answers),
                Kind.QUESTIONS: (questions.COLUMNS, tables.questions),
                Kind.MESSAGES: (talk.COLUMNS, tables.messages),
            }[kind]
            yield (csv_text.BOM + csv_text.lines([_titles(columns, style)], style)).encode()
            async with aclosing(parts(self._clock())) as texts:
                async for text in texts:
                    if text:
                        yield text.encode()

    async def page(
        self, who: Identity, room: int, style: Style, *, language: str
    ) -> AsyncGenerator[bytes, None]:
        """The parts of the page to print. Raises the errors of :meth:`csv`."""
        reading = self._reading(who, room)
        await reading.check()
        with self._places.take(who.user, rank=rank_of(who, MemberRole.HOST)):
            found = await self._store.room(room)
            if found is None:
                raise UnknownRoom(f"there is no room {room}")
            now = self._clock()
            head = _head(found, style, style.text(now))
            yield _utf8(html_text.begin(found.title, head, language=language))
            tables = Tables(reading, style, html_text.lines)
            for title, columns, parts in (
                ("attendance", attendance_sheet.COLUMNS, tables.attendance),
                ("polls", polls.TOTALS, tables.totals),
                ("questions", questions.COLUMNS, tables.questions),
                ("talk", talk.TALK, tables.said),
            ):
                yield _utf8(html_text.table(style.say(title), _titles(columns, style), title))
                is_empty = True
                async with aclosing(parts(now)) as texts:
                    async for text in texts:
                        if text:
                            is_empty = False
                            yield _utf8(text)
                yield _utf8(html_text.table_end(style.say("nothing") if is_empty else None))
            yield _utf8(html_text.end())

    def _reading(self, who: Identity, room: int) -> Reading:
        return Reading(
            who,
            room,
            store=self._store,
            permissions=self._permissions,
            turns=self._turns,
            rate=self._rate,
        )


def _head(room: Room, style: Style, now: str) -> list[str]:
    """The lines under the page's title."""
    said = [style.say("room", number=room.id)]
    for word, moment in (("opened", room.created_at), ("closed", room.closed_at)):
        if moment is not None:
            said.append(f"{style.say(word)}: {style.text(moment)}")
    return [*said, style.say("printed", time=now), style.say("zone", zone=style.zone)]


def _titles(columns: Iterable[str], style: Style) -> list[Any]:
    """The titles of columns; those of times name the zone."""
    return [style.say(column, zone=style.zone) for column in columns]


def _utf8(text: str) -> bytes:
    """The text in UTF-8; a lone surrogate, which JSON can express, is a question mark."""
    return text.encode(errors="replace")
