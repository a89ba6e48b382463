"""The writer of the journal: in batches, patient, and honest about what it had to drop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import pytest

from broker.timing.tasks import Tasks
from gateway.domain.journal import Entry, EntryKind
from gateway.errors import StoreUnavailable
from gateway.observe.journal import Journal
from gateway.reports.journal_writer import PORTION, TELL, TICK, JournalWriter
from tests.virtual_time import run


class Table:
    """The journal as the database has it."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.away = False

    @property
    def codes(self) -> list[str]:
        return [code for batch in self.batches for code in batch]

    async def add(self, entries: Sequence[Entry], *, gateway: str) -> None:
        assert gateway == "a"
        await asyncio.sleep(0.01)
        if self.away:
            raise StoreUnavailable("disk full")
        self.batches.append([entry.code for entry in entries])


def entry(code: str) -> Entry:
    return Entry(at=0.0, kind=EntryKind.STATE, code=code)


def writer(journal: Journal, table: Table) -> JournalWriter:
    return JournalWriter(journal, table, gateway="a", clock=lambda: 0.0, tasks=Tasks())


def test_entries_are_written_in_batches_and_the_start_and_the_stop_are_two_of_them() -> None:
    async def scenario() -> None:
        journal, table = Journal(clock=lambda: 0.0), Table()
        made = writer(journal, table)
        made.start()
        for number in range(2 * PORTION):
            journal.add(entry(str(number)))
        await asyncio.sleep(2 * TICK)
        assert [len(batch) for batch in table.batches] == [PORTION, PORTION, 1]
        journal.add(entry("last"))
        await made.close()
        assert table.codes == ["started", *map(str, range(2 * PORTION)), "last", "stopped"]

    run(scenario())


def test_while_the_database_is_away_entries_wait_and_the_hole_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)

    async def scenario() -> None:
        journal, table = Journal(clock=lambda: 0.0, most=3), Table()
        made = writer(journal, table)
        made.start()
        table.away = True
        for code in ("a", "b", "too many", "too many"):
            journal.add(entry(code))
        await asyncio.sleep(5 * TICK)
        table.away = False
        await asyncio.sleep(2 * TICK)
        assert table.codes == ["started", "a", "b", "dropped"]
        await made.close()

    run(scenario())
    assert [record.getMessage() for record in caplog.records] == [
        "the journal waits in memory, up to 3 entries, until the database is back: disk full",
        "2 entries of the journal were dropped: there were more than can be written, or more of "
        "one client than one may cause",
    ]


def test_a_flood_is_told_of_once_a_minute() -> None:
    async def scenario() -> None:
        journal, table = Journal(clock=lambda: 0.0, most=2), Table()
        made = writer(journal, table)
        made.start()
        for _ in range(round(2 * TELL / TICK)):
            for code in ("a", "b", "c"):
                journal.add(entry(code))
            await asyncio.sleep(TICK)
        await asyncio.sleep(TELL)
        assert 2 <= table.codes.count("dropped") <= 4
        await made.close()

    run(scenario())


def test_a_stop_without_the_database_waits_for_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        journal, table = Journal(clock=lambda: 0.0), Table()
        made = writer(journal, table)
        made.start()
        table.away = True
        await made.close()

    run(scenario())
    assert "2 entries of the journal are lost" in caplog.text
