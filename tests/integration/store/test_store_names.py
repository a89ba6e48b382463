"""User names that stood before they had one form, and what is shown beside them."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unicodedata import normalize
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import Column, Connection, String, Table, text
from sqlalchemy.event import listens_for

from broker.topology import Audience, Stream
from gateway.domain.message import Draft
from gateway.domain.revocation import Revocation, Target
from gateway.domain.room import Member, MemberRole
from gateway.domain.session import LoginSession, Proof
from gateway.errors import Invalid
from gateway.store import Account, Store, user_names
from gateway.store.tables import metadata
from gateway.store.values import USER_LENGTH
from tests.integration.store.content import NOON
from tests.integration.store.test_store_state import sizes

HOST, PARTICIPANT = MemberRole.HOST, MemberRole.PARTICIPANT
DECOMPOSED = normalize("NFD", "김하나")
COMPOSED = "김하나"


def draft(room: int, sender: str, name: str | None = None) -> Draft:
    stream = Stream(Audience.PUBLIC, room)
    return Draft(uuid4(), stream, sender, NOON, "message", "hi", HOST, name)


async def stored(store: Store, room: int, sender: str, name: str | None = None) -> None:
    (answer,) = await store.append([draft(room, sender, name)])
    assert not isinstance(answer, Exception), answer


#: What later migrations have added.
LATER = (
    "ALTER TABLE rooms DROP COLUMN keep_days",
    "DROP TABLE journal",
    "DROP TABLE compatibility",
    "ALTER TABLE gateways DROP COLUMN name",
    "ALTER TABLE gateways DROP COLUMN hears",
    "ALTER TABLE gateways DROP COLUMN ahead",
    "DROP TABLE approvals",
    "ALTER TABLE rooms DROP COLUMN approve",
    "ALTER TABLE messages DROP COLUMN place",
    "DROP TABLE class_codes",
    "DROP TABLE knocks",
    "DROP TABLE turned_away",
    "DROP TABLE attendance",
    "DROP TABLE kept",
    "DROP TABLE kept_sizes",
    "ALTER TABLE messages DROP COLUMN keep",
    'ALTER TABLE messages DROP COLUMN "of"',
    "ALTER TABLE streams DROP COLUMN forgotten",
    "DROP TABLE erasures",
    "ALTER TABLE rooms DROP COLUMN chat_off",
    "ALTER TABLE messages DROP COLUMN hidden",
    "ALTER TABLE rooms DROP COLUMN slow",
    "ALTER TABLE members DROP COLUMN muted",
    "DELETE FROM counters WHERE name = 'erasures'",
)


def _back(connection: Connection) -> None:
    """As the database was before its names had one form."""
    for statement in LATER:
        connection.execute(text(statement))
    for table, column in (
        ("members", "name"),
        ("messages", "sender_name"),
        ("accounts", "display_name"),
    ):
        connection.execute(text(f"ALTER TABLE {table} DROP COLUMN {column}"))
    connection.execute(text("UPDATE alembic_version SET version_num = '0011'"))


@pytest.mark.gen_test
async def test_a_migration_brings_names_into_their_form_and_shows_them_as_they_were_written(
    store: Store, store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    room = await store.create_room("a room", {DECOMPOSED: HOST, "bob": PARTICIPANT}, NOON)
    await stored(store, room.id, DECOMPOSED)
    await store.put_account(Account(DECOMPOSED, "x", frozenset({"host"})))
    before = await store.revisions([room.id])
    await store._database.write(_back)
    with caplog.at_level(logging.INFO):
        again = await Store.open(store_url, migrate=True)
    try:
        assert await again.members(room.id) == [
            Member("bob", PARTICIPANT),
            Member(COMPOSED, HOST, DECOMPOSED, has_account=True),
        ]
        assert await again.account(COMPOSED) == Account(
            COMPOSED, "x", frozenset({"host"}), DECOMPOSED
        )
        (message,) = (await again.read(Stream(Audience.PUBLIC, room.id), after=0, limit=9)).messages
        assert (message.sender, message.sender_name) == (COMPOSED, DECOMPOSED)
        # Gateways that have the members in mind look at them again.
        assert (await again.revisions([room.id]))[room.id] > before[room.id]
        assert await again.names_out_of_form() == []
        assert "is called" in caplog.text
    finally:
        await again.close()


@pytest.mark.gen_test
async def test_many_names_are_brought_into_their_form_in_one_pass_over_the_messages(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_names, "PORTION", 3)
    written = {normalize("NFD", f"김{sign}"): f"김{sign}" for sign in "가나다라마"}
    rooms = []
    for user in written:
        rooms.append(await store.create_room("a room", {user: HOST, "bob": PARTICIPANT}, NOON))
        await stored(store, rooms[-1].id, user)
        await stored(store, rooms[-1].id, "bob")
    before = await store.revisions([room.id for room in rooms])
    passes = []

    def bring(connection: Connection) -> list[user_names.StandingName]:
        @listens_for(connection, "before_cursor_execute")
        def count(_c: Connection, _cursor: object, statement: str, *_: object) -> None:
            passes.append(statement.startswith("UPDATE messages"))

        return user_names.bring_into_form(connection, user_names.standing(connection))

    assert await store._database.write(bring) == []
    assert sum(passes) == 2
    for room, (user, form) in zip(rooms, written.items(), strict=True):
        assert await store.members(room.id) == [
            Member("bob", PARTICIPANT),
            Member(form, HOST, user),
        ]
        page = await store.read(Stream(Audience.PUBLIC, room.id), after=0, limit=9)
        assert [(m.sender, m.sender_name) for m in page.messages] == [(form, user), ("bob", None)]
    after = await store.revisions([room.id for room in rooms])
    assert all(after[room] == before[room] + 1 for room in before)
    assert await store.names_out_of_form() == []


@pytest.mark.gen_test
async def test_names_that_would_fall_together_are_named_and_left_alone(
    store: Store, store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    room = await store.create_room("a room", {"kim": HOST, "lee": PARTICIPANT}, NOON)
    await store.set_member(room.id, "ｋｉｍ", PARTICIPANT)
    await store.put_account(Account("☺", "x", frozenset()))
    before = await store.members(room.id)
    await store._database.write(_back)
    again = await Store.open(store_url, migrate=True)
    try:
        assert await again.members(room.id) == before
        assert [
            (each.name, each.form, each.others) for each in await again.names_out_of_form()
        ] == [("☺", None, ()), ("ｋｉｍ", "kim", ("kim",))]
        warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
        assert any("'ｋｉｍ' (1 memberships) would be 'kim'" in each for each in warnings)
        assert any("'☺' (1 accounts) can be no user's name" in each for each in warnings)
        # The operator decides.
        assert await again.give_name("ｋｉｍ", "kim 2") == 1
        assert await again.give_name("☺", "smiley") == 1
        assert await again.names_out_of_form() == []
        assert await again.account("smiley") == Account("smiley", "x", frozenset(), "☺")
    finally:
        await again.close()


@pytest.mark.gen_test
async def test_giving_a_name_to_somebody_keeps_the_higher_role(store: Store) -> None:
    both = await store.create_room("both", {"ｋｉｍ": HOST, "kim": PARTICIPANT}, NOON)
    one = await store.create_room("one", {"ｋｉｍ": HOST}, NOON)
    await stored(store, both.id, "ｋｉｍ")
    before = await store.revisions([both.id, one.id])
    assert await store.give_name("ｋｉｍ", "kim") > 0
    for room in (both, one):
        assert [(m.user, m.role) for m in await store.members(room.id)] == [("kim", HOST)]
    after = await store.revisions([both.id, one.id])
    assert all(after[room] > before[room] for room in before)
    assert await store.give_name("ｋｉｍ", "kim") == 0


def _order(user: str, *, at: datetime, hours: float | None = None) -> Revocation:
    return Revocation(
        target=Target.USER,
        value=user,
        since=at,
        until=at + timedelta(days=366),
        kept_out_until=None if hours is None else at + timedelta(hours=hours),
        reason=f"{user} was too loud",
        by="an admin",
    )


@pytest.mark.parametrize("before", ["nothing", "ended", "kept out for longer"])
@pytest.mark.gen_test
async def test_who_is_kept_out_stays_so_under_the_name_that_is_given(
    store: Store, before: str
) -> None:
    now = datetime.now(UTC)
    match before:
        case "ended":
            await store.revoke(_order("kim 2", at=now - timedelta(days=1)))
        case "kept out for longer":
            await store.revoke(_order("kim 2", at=now, hours=5))
    kept_out = _order("kim", at=now, hours=1)
    known = (await store.revoke(kept_out)).newest
    await store.create_room("one", {"kim": HOST}, NOON)
    assert await store.give_name("kim", "kim 2") > 0
    # Gateways that serve meanwhile must learn it, too.
    (told,) = (await store.sessions_ended_since(known)).revocations
    assert told.value == "kim 2"
    hours = 5 if before == "kept out for longer" else 1
    assert told.kept_out_until == now + timedelta(hours=hours)
    assert told.reason == ("kim 2 was too loud" if hours == 5 else "kim was too loud")
    assert told.since >= now
    # Whoever issues names may still issue the old one.
    assert "kim" in {each.value for each in await store.revocations() if each.kept_out_until}


@pytest.mark.gen_test
async def test_logins_under_a_name_that_was_given_away_end(store: Store) -> None:
    now = datetime.now(UTC)

    def login(user: str) -> LoginSession:
        return LoginSession(uuid4().hex, user, Proof.PASSWORD, now, now + timedelta(hours=1))

    # Their cookies go on naming the old user.
    old, new, other = login("kim"), login("kim 2"), login("lee")
    for each in (old, new, other):
        await store.add_session(each)
    assert await store.give_name("kim", "kim 2") == 1
    (ended,) = (await store.sessions_ended_since(0)).sessions
    assert (ended.id, ended.reason) == (old.id, "the user is called otherwise now")
    assert [each.id for each in await store.sessions_of("kim 2")] == [new.id]


@pytest.mark.gen_test
async def test_two_accounts_are_not_made_one(store: Store) -> None:
    for name in ("ｋｉｍ", "kim"):
        await store.put_account(Account(name, name, frozenset()))
    with pytest.raises(Invalid, match="both have an account"):
        await store.give_name("ｋｉｍ", "kim")
    for wrong in ("ｋｉｍ", "☺", ""):
        with pytest.raises(Invalid, match=r"form|RFC 8265|non-empty"):
            await store.give_name("kim", wrong)
    assert (await store.account("kim")) == Account("kim", "kim", frozenset())


@pytest.mark.gen_test
async def test_what_is_shown_is_known_in_every_room(store: Store) -> None:
    await store.put_account(Account("mina", "x", frozenset(), "Kim Mina"))
    made = await store.create_room("a", {"mina": HOST, "bob": PARTICIPANT}, NOON)
    assert [m.name for m in await store.members(made.id)] == [None, "Kim Mina"]
    await store.name_members("bob", "Bob")
    other = await store.create_room("b", {"mina": HOST}, NOON, names={"mina": "not asked"})
    await store.set_member(other.id, "bob", PARTICIPANT, "not asked either")
    await store.set_member(other.id, "ann", PARTICIPANT, "Ａｎｎ")
    assert [m.name for m in await store.members(other.id)] == ["Ａｎｎ", "Bob", "Kim Mina"]
    assert await store.show_account_as("mina", "Mina K.")
    assert [m.name for m in await store.members(made.id)] == ["Bob", "Mina K."]
    assert (await store.account("mina")) == Account("mina", "x", frozenset(), "Mina K.")
    assert not await store.show_account_as("nobody", "x")


@pytest.mark.gen_test
async def test_a_message_keeps_the_name_that_was_shown_then(store: Store) -> None:
    room = await store.create_room("a", {"mina": HOST}, NOON)
    await stored(store, room.id, "mina", "Kim Mina")
    await stored(store, room.id, "mina")
    stream = Stream(Audience.PUBLIC, room.id)
    page = await store.read(stream, after=0, limit=9)
    assert [message.sender_name for message in page.messages] == ["Kim Mina", None]
    first, second = (await store.read_json(stream, after=0, limit=9)).messages
    assert b'"sender":"mina","name":"Kim Mina","role":"host"' in first
    assert b'"name"' not in second


@pytest.mark.gen_test
async def test_the_newer_of_two_entries_stays_when_their_authors_become_one(store: Store) -> None:
    room = await store.create_room("a", {"mina": HOST, "bob": PARTICIPANT}, NOON)
    stream = Stream(Audience.PUBLIC, room.id)

    def keep(user: str, key: str, body: str, of: str | None = None) -> Draft:
        role = HOST if of else PARTICIPANT
        return Draft(uuid4(), stream, user, NOON, "x", body, role, keep=key, of=of)

    await store.append(
        [
            keep("bob", "a", "older"),
            keep("rob", "a", "newer"),
            keep("rob", "b", "older"),
            keep("mina", "b", "newer", of="bob"),
            keep("mina", "c", "alone", of="rob"),
        ]
    )
    assert await store.give_name("rob", "bob") > 0
    page = await store.read_state(stream, limit=9, author="bob")
    assert [(m.keep, m.body, m.sender, m.of) for m in page.messages] == [
        ("a", "newer", "bob", None),
        ("b", "newer", "mina", "bob"),
        ("c", "alone", "mina", "bob"),
    ]
    assert page.messages[0].sender_name == "rob"
    # What is counted of them follows.
    counted = sum(len(json.dumps(each.body)) for each in page.messages)
    assert await sizes(store, room.id) == {("public", "bob"): counted, ("public", ""): counted}
    assert await store.names_out_of_form() == []
    history = (await store.read(stream, after=0, limit=9)).messages
    assert [message.of for message in history] == [None, None, None, "bob", "bob"]


def test_every_column_that_names_a_user_is_known() -> None:
    """A name that is given to another one must not stay behind somewhere."""

    def names_a_user(table: Table, column: Column[object]) -> bool:
        shown = {
            "members.name",
            "messages.sender_name",
            "attendance.name",
            "kept.sender_name",
            "approvals.sender_name",
            "accounts.display_name",
        }
        # Claims of tokens; a user among them is moved, too.
        claims = {"sessions.token_id", "sessions.token_subject", "revocations.value"}
        types = {"messages.type", "kept.type", "approvals.type"}
        # Follows what it counts.
        counted = {"kept_sizes.author"}
        return (
            isinstance(column.type, String)
            and column.type.length == USER_LENGTH
            and f"{table.name}.{column.name}" not in shown | claims | types | counted
        )

    found = {
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if names_a_user(table, column)
    }
    assert found == {
        f"{place.table.name}.{place.names.name}" for place in user_names.PLACES.values()
    }


@pytest.mark.postgres
@pytest.mark.gen_test
async def test_a_name_is_given_although_another_transaction_waits_for_it_and_it_for_that(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Posts count what is kept in their rooms, as a new name does; the order differs. PostgreSQL
    ends one of the two, which is run again."""
    runs = 0
    give = user_names.give

    def counted(*arguments: Any, **named: Any) -> int:
        nonlocal runs
        runs += 1
        return give(*arguments, **named)

    monkeypatch.setattr(user_names, "give", counted)
    other = await asyncpg.connect(postgres_url.replace("+asyncpg", ""))
    name = await other.fetchval("SELECT current_database()")
    # This one is not the first to look for the ring.
    await other.execute("SET deadlock_timeout = '1min'")
    await other.execute(f"ALTER DATABASE \"{name}\" SET deadlock_timeout = '2s'")
    store = await Store.open(postgres_url)
    first, second = [
        (await store.create_room("a room", {"hana": HOST, "paul": PARTICIPANT}, NOON)).id
        for _ in range(2)
    ]
    for room in (first, second):
        raised = replace(draft(room, "paul"), role=PARTICIPANT, keep="hand")
        (answer,) = await store.append([raised])
        assert not isinstance(answer, Exception), answer
    lock = "SELECT 1 FROM kept_sizes WHERE room = $1 AND author = '' FOR UPDATE"
    async with other.transaction():
        await other.execute(lock, second)
        giving = asyncio.create_task(store.give_name("paul", "pablo"))
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        async with asyncio.timeout(10):
            while not await other.fetchval(waiting):  # noqa: ASYNC110 - PostgreSQL tells nobody
                await asyncio.sleep(0.01)
        await other.execute(lock, first)
    assert await giving
    assert runs == 2
    for room in (first, second):
        assert {author for _, author in await sizes(store, room)} == {"", "pablo"}
    await store.close()
    await other.close()
