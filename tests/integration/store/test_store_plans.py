"""No call of the store reads a whole table that grows with what was said: SQLite tells how it finds
what a statement asks for."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from tornado.ioloop import IOLoop

from broker.topology import Audience, Stream
from gateway.domain.journal import Entry, Search
from gateway.domain.room import MemberRole
from gateway.store import Store
from tests.integration.store.content import NOON, draft, new_stream, stored

#: Tables that grow as long as people talk.
_LARGE = ("messages", "approvals", "members", "kept", "attendance", "journal")


@pytest.fixture
def statements() -> Iterator[dict[str, Any]]:
    """All statements since the test began, each with the last of its parameters."""
    found: dict[str, Any] = {}

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, many: bool) -> None:
        found[statement] = parameters[0] if many else parameters

    event.listen(Engine, "before_cursor_execute", note)
    yield found
    event.remove(Engine, "before_cursor_execute", note)


@pytest.fixture
def sqlite_store(sqlite_url: str, io_loop: IOLoop) -> Iterator[Store]:
    opened: Store = io_loop.run_sync(partial(Store.open, sqlite_url))
    yield opened
    io_loop.run_sync(opened.close)


@pytest.mark.gen_test
async def test_no_statement_reads_all_of_what_was_said(
    sqlite_store: Store, sqlite_url: str, statements: dict[str, Any]
) -> None:
    store = sqlite_store
    stream = await new_stream(store)
    private = Stream(Audience.PRIVATE, stream.room)
    said = stored(await store.append([draft(stream, n) for n in range(4)]))
    statements.clear()
    later = NOON + timedelta(days=1)

    stored(await store.append([draft(stream, 5)]))
    await store.stored(said[0].id)
    await store.read(stream, after=1, limit=2)
    await store.read_json(private, after=0, limit=2, sender="kim")
    await store.read_json(stream, after=0, limit=2, types=["poll", "message"], veiled=True)
    await store.read_state(stream, limit=3)
    await store.heads([stream, private])
    await store.membership(stream.room, "kim")
    await store.roster(stream.room)
    await store.members(stream.room)
    await store.rooms_of("kim")
    await store.set_member(stream.room, "mina", MemberRole.PARTICIPANT)
    await store.remove_member(stream.room, "mina")
    await store.read_waiting(stream.room, after=0, limit=3)
    await store.waited_at(stream.room, [1, 2])
    await store.unpublished_streams()
    await store.unpublished_in(stream, after=0, limit=9)
    await store.outbox_size()
    await store.mark_published([message.id for message in said])
    await store.is_published(said[0].id)
    await store.take_over(limit=9)
    await store.with_deleted([stream.room])
    await store.prune(later)
    await store.forget_keys(later, spared=later)
    await store.forget_decided(later)
    await store.prune_rooms(later)
    await store.journal.add([Entry(at=0, kind="close", code="gone")], gateway="a")
    await store.journal.search(Search(user="kim"))
    await store.journal.search(Search(room=stream.room))
    await store.journal.forget(later, most=9)
    await store.stays(stream.room, limit=9)
    await store.forget_stays(later)
    await store.see_stays(later)
    ordered = await store.order_erasure(room=None, user="paul", by="root", reason="", at=NOON)
    await store.carry_out_erasure(ordered)

    plans = _plans(sqlite_url, statements)
    assert len(plans) > 20
    scans = {
        statement: plan
        for statement, plan in plans.items()
        if any(f"SCAN {table}" in plan for table in _LARGE)
    }
    assert not scans, "\n".join(f"{plan}\n  {statement}" for statement, plan in scans.items())


@pytest.mark.gen_test
async def test_a_room_with_an_age_of_its_own_takes_no_lock_while_nothing_there_is_old(
    sqlite_store: Store, statements: dict[str, Any]
) -> None:
    stream = await new_stream(sqlite_store)
    said = stored(await sqlite_store.append([draft(stream)]))
    await sqlite_store.mark_published([message.id for message in said])
    await sqlite_store.keep_room(stream.room, 2)
    statements.clear()
    for days, deleted, transactions in ((1, 0, 0), (3, 1, 1)):
        assert await sqlite_store.prune_rooms(NOON + timedelta(days=days)) == deleted
        looks = [each for each in statements if each.startswith("SELECT streams.first")]
        assert len(looks) == transactions


def _plans(url: str, statements: dict[str, Any]) -> dict[str, str]:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
        plans = {
            statement: "; ".join(
                row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            )
            for statement, parameters in statements.items()
            if statement.startswith(("SELECT", "DELETE", "UPDATE", "INSERT", "WITH"))
        }
    database.close()
    return plans
