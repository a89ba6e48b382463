"""Reads that end at a bound of bytes, and hold up nothing else."""

import asyncio
import threading
from typing import Any

import pytest
from sqlalchemy import Connection, text

from gateway.store import Store
from gateway.store.portions import READ_BYTES
from tests.integration.store.content import draft, new_stream, stored

LARGE = 60_000

#: What could come out otherwise than it went in.
BODIES: list[Any] = [
    "plain",
    "수학 \U0001f600",
    {"\udc00": "\ud83d"},
    'C:\\users \\u0041 \x00 \x1f \x7f \u2028 / " ',
    [1, 1.0, -0.0, 1e300, 2**70, True, None, {}],
    {"z": 1, "a": {"z": [2], "a": ""}},
]


@pytest.mark.gen_test
async def test_a_page_of_large_messages_ends_at_its_bound_and_goes_on_behind_it(
    store: Store,
) -> None:
    stream = await new_stream(store)
    messages = stored(await store.append([draft(stream, "x" * LARGE) for _ in range(40)]))
    page = await store.read(stream, after=0, limit=40)
    assert page.cut
    assert READ_BYTES <= sum(len(message.body) for message in page.messages) < READ_BYTES + LARGE
    found, pieces = list(page.messages), 1
    while page.cut:
        page = await store.read(stream, after=found[-1].seq or 0, limit=40)
        found += page.messages
        pieces += 1
    assert found == messages
    assert pieces == 3
    assert (await store.read(stream, after=0, limit=3)).cut is False
    filtered = await store.read(stream, after=0, limit=40, sender="paul", types=["chat", "vote"])
    assert (filtered.cut, filtered.messages) == (True, messages[: len(filtered.messages)])


@pytest.mark.gen_test
async def test_so_does_a_page_of_the_outbox(store: Store) -> None:
    stream = await new_stream(store)
    messages = stored(await store.append([draft(stream, "x" * LARGE) for _ in range(40)]))
    page = await store.unpublished_in(stream, after=0, limit=40)
    assert page.more
    assert 17 <= len(page.messages) <= 19
    rest = await store.unpublished_in(stream, after=page.messages[-1].seq or 0, limit=10)
    assert rest.more
    assert page.messages + rest.messages == messages[: len(page.messages) + 10]
    last = await store.unpublished_in(stream, after=30, limit=11)
    assert (last.more, last.messages) == (False, messages[30:])


@pytest.mark.gen_test
async def test_the_json_of_a_page_is_that_of_its_messages(store: Store) -> None:
    stream = await new_stream(store)
    messages = stored(await store.append([draft(stream, body) for body in BODIES]))
    page = await store.read_json(stream, after=0, limit=10)
    assert page.messages == [message.encode() for message in messages]
    assert (page.last, page.head, page.first, page.cut) == (len(BODIES), len(BODIES), 1, False)
    nothing = await store.read_json(stream, after=10, limit=10)
    assert (nothing.messages, nothing.last) == ([], None)


@pytest.mark.gen_test
async def test_reads_of_the_history_hold_up_nothing_else(store: Store) -> None:
    """However many there are, and however long they take."""
    stream = await new_stream(store)
    go_on = threading.Event()

    def long(connection: Connection) -> None:
        if connection.dialect.name == "sqlite":
            go_on.wait(20)
        else:
            connection.execute(text("SELECT pg_sleep(4)"))

    scans = [
        asyncio.create_task(store._database.scan(long, lambda nothing: nothing)) for _ in range(16)
    ]
    try:
        async with asyncio.timeout(3):
            await asyncio.sleep(0.2)
            stored(await store.append([draft(stream)]))
            assert await store.roster(stream.room)
            assert await store.rooms_of("paul")
            assert (await store.unpublished_in(stream, after=0, limit=1)).messages
            await store.renew_lease(10)
            await store.ping()
        assert not any(scan.done() for scan in scans)
    finally:
        go_on.set()
        await asyncio.gather(*scans, return_exceptions=True)
