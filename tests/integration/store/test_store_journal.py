"""The journal, as the database has it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.domain.journal import Entry, EntryKind, Search
from gateway.domain.room import MemberRole
from gateway.store import Store
from tests.integration.store.content import MEMBERS, NOON

CLOSE = Entry(
    at=NOON.timestamp(),
    kind=EntryKind.CLOSE,
    code="too_slow",
    detail="messages were not read fast enough",
    status=4008,
    client_status=1001,
    user="kim",
    room=7,
    address="192.0.2.7",
    node="r1",
    connection="c1",
    browser="Firefox",
    since=NOON.timestamp() - 60,
    bytes_in=10,
    bytes_out=2**40,
)
ORDER = Entry(
    at=NOON.timestamp() + 1,
    kind=EntryKind.ACTION,
    code="end_user",
    detail="end all connections of kim: a 1",
    user="kim",
    by="root",
)


async def found(store: Store, **search: object) -> list[str]:
    """The codes of the entries that are found."""
    entries = await store.journal.search(Search(**search))  # type: ignore[arg-type]
    return [entry.code for entry in entries]


@pytest.mark.gen_test
async def test_an_entry_comes_back_as_it_was_written_by_whichever_gateway(
    store: Store, other_gateway: Store
) -> None:
    await store.journal.add([CLOSE], gateway="a")
    await other_gateway.journal.add([ORDER], gateway="b")
    order, close = await store.journal.search(Search())
    assert close == replace(CLOSE, gateway="a", id=close.id)
    assert order == replace(ORDER, gateway="b", id=order.id)


@pytest.mark.gen_test
async def test_it_is_searched_by_whatever_an_operator_knows(store: Store) -> None:
    others = [replace(CLOSE, code=f"other {number}", user=f"u{number}") for number in range(3)]
    here = {"room": 8, "address": "192.0.2.8", "connection": "c8", "code": "wanted"}
    wanted = replace(CLOSE, user="mina", **here)  # type: ignore[arg-type]
    await store.journal.add([*others, wanted, ORDER], gateway="a")
    assert await found(store, user="mina") == ["wanted"]
    assert await found(store, room=8) == ["wanted"]
    assert await found(store, address="192.0.2.8") == ["wanted"]
    assert await found(store, connection="c8") == ["wanted"]
    assert await found(store, kinds=(EntryKind.ACTION, EntryKind.NODE)) == ["end_user"]
    after = NOON + timedelta(seconds=1)
    assert await found(store, since=after) == ["end_user"]
    assert len(await found(store, until=after)) == 4
    assert await found(store, user="mina", room=7) == []


@pytest.mark.gen_test
async def test_pages_miss_nothing_though_many_entries_have_the_same_time(store: Store) -> None:
    entries = [replace(CLOSE, code=str(number), at=CLOSE.at + number // 10) for number in range(35)]
    await store.journal.add(entries, gateway="a")
    seen: list[str] = []
    before = None
    while page := await store.journal.search(Search(user="kim", before=before, size=4)):
        seen += [entry.code for entry in page]
        before = datetime.fromtimestamp(page[-1].at, UTC), page[-1].id
    assert seen == [str(number) for number in reversed(range(35))]


@pytest.mark.gen_test
async def test_what_a_client_has_sent_makes_no_row_large_and_fails_no_batch(store: Store) -> None:
    wild = replace(CLOSE, detail="x" * 5000, browser="\0\ud800" * 300, room=2**70)
    await store.journal.add([wild], gateway="a")
    (entry,) = await store.journal.search(Search())
    assert len(entry.detail) == 300
    assert entry.browser is not None
    assert len(entry.browser) <= 200
    assert entry.room is None


@pytest.mark.gen_test
async def test_old_entries_go_and_the_oldest_of_too_many(store: Store) -> None:
    entries = [replace(CLOSE, code=str(hour), at=CLOSE.at + 3600 * hour) for hour in range(10)]
    await store.journal.add(entries, gateway="a")
    assert await store.journal.forget(NOON + timedelta(hours=3), most=100) == 3
    assert await found(store) == ["9", "8", "7", "6", "5", "4", "3"]
    assert await store.journal.forget(NOON, most=2) == 5
    assert await found(store) == ["9", "8"]


@pytest.mark.gen_test
async def test_deletion_by_request_takes_the_entries_and_leaves_of_orders_only_who_gave_them(
    store: Store,
) -> None:
    room = (await store.create_room("a room", MEMBERS, NOON)).id
    mine, other = replace(CLOSE, room=room), replace(CLOSE, user="mina", code="other", room=room)
    await store.journal.add([mine, CLOSE, other, ORDER], gateway="a")

    async def erase(room: int | None, user: str | None) -> None:
        at = datetime.now(UTC)
        ordered = await store.order_erasure(room=room, user=user, by="root", reason="", at=at)
        await store.carry_out_erasure(ordered)

    await erase(room, "kim")
    assert await found(store) == ["end_user", "other", "too_slow"]
    await erase(None, "kim")
    assert await found(store) == ["end_user", "other"]
    (order, _) = await store.journal.search(Search())
    assert (order.by, order.user) == ("root", None)
    assert "kim" not in order.detail
    # What waited elsewhere meanwhile does not bring it back.
    await store.journal.add([mine, CLOSE], gateway="b")
    assert await found(store) == ["end_user", "other"]
    await erase(room, None)
    assert await found(store) == ["end_user"]
    await store.journal.add([replace(CLOSE, at=datetime.now(UTC).timestamp() + 1)], gateway="b")
    assert await found(store) == ["too_slow", "end_user"]


@pytest.mark.gen_test
async def test_a_user_who_gets_another_name_keeps_the_entries(store: Store) -> None:
    await store.set_member(
        (await store.create_room("a room", MEMBERS, NOON)).id, "kim", MemberRole.PARTICIPANT
    )
    await store.journal.add([CLOSE, ORDER], gateway="a")
    await store.give_name("kim", "kim2")
    assert await found(store, user="kim2") == ["end_user", "too_slow"]
