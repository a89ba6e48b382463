"""`interact.post`: an application stores messages in transactions of its own, on PostgreSQL."""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import UUID, uuid4

import asyncpg
import pytest

from broker.topology import Audience, Stream
from gateway.domain.room import MemberRole
from gateway.errors import HistoryFull, IdReused
from gateway.store import Store
from gateway.store.post_function import PostLimits
from gateway.store.quota import Quota
from tests.conftest import NewDatabase
from tests.integration.store.content import NOON, draft, history, new_stream, outbox_size, stored
from tests.integration.store.test_store_names import LATER

pytestmark = [pytest.mark.postgres, pytest.mark.gen_test]

POST = "SELECT interact.post($1, $2, $3, $4, $5, $6)"


def address(url: str) -> str:
    """A database's URL for asyncpg itself."""
    return url.replace("+asyncpg", "")


@asynccontextmanager
async def login(url: str, *, granted: bool = True) -> AsyncIterator[str]:
    """A login that may do nothing but what it is granted."""
    owner = await asyncpg.connect(address(url))
    name = f"app_{uuid4().hex}"
    await owner.execute(f"CREATE ROLE {name} LOGIN")
    if granted:
        await owner.execute(
            f"GRANT USAGE ON SCHEMA interact TO {name};"
            f"GRANT EXECUTE ON FUNCTION interact.post TO {name}"
        )
    try:
        yield name
    finally:
        await owner.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
        await owner.close()


@asynccontextmanager
async def connected(url: str, name: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(address(url), user=name)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def application(url: str, *, granted: bool = True) -> AsyncIterator[Any]:
    """A connection of such a login."""
    async with login(url, granted=granted) as name, connected(url, name) as connection:
        yield connection


async def post(connection: Any, stream: Stream, value: Any = "hello", **changed: Any) -> UUID:
    values: dict[str, Any] = {
        "room": stream.room,
        "audience": str(stream.audience),
        "type": "chat",
        "body": json.dumps(value),
        "sender": "paul",
        "id": uuid4(),
    } | changed
    return cast(UUID, await connection.fetchval(POST, *values.values()))


async def test_what_is_committed_is_numbered_and_free_for_a_gateway(postgres_url: str) -> None:
    store = await Store.open(postgres_url, migrate=True)
    public = await new_stream(store)
    private = Stream(Audience.PRIVATE, public.room)
    body: dict[str, Any] = {"text": "Größe 😀", "parts": [1, 2.5, None, True, {"": []}]}
    async with application(postgres_url) as connection:
        async with connection.transaction():
            first = await post(connection, public, body)
            second = await post(connection, public, None, sender="the school's own program")
            third = await post(connection, private, "x", sender="hanna")
            assert await history(store, public) == []

        one, two = await history(store, public)
        (three,) = await history(store, private)
        assert [(each.id, each.seq, each.body) for each in (one, two, three)] == [
            (first, 1, body),
            (second, 2, None),
            (third, 1, "x"),
        ]
        assert [each.role for each in (one, two, three)] == [
            MemberRole.PARTICIPANT,
            None,
            MemberRole.HOST,
        ]
        assert (await store.outbox_size()).bytes == sum(
            len(json.dumps(each.body, ensure_ascii=False).encode()) for each in (one, two, three)
        )
        assert Counter(await store.take_over(limit=9)) == {public: 2, private: 1}
        assert (await store.unpublished_in(public, after=0, limit=9)).messages == [one, two]
        # A gateway goes on after them.
        assert stored(await store.append([draft(public)]))[0].seq == 3
    await store.close()


async def test_what_is_rolled_back_never_was(postgres_url: str) -> None:
    store = await Store.open(postgres_url, migrate=True)
    stream = await new_stream(store)
    async with application(postgres_url) as connection:
        whole = connection.transaction()
        await whole.start()
        await post(connection, stream, "never")
        await whole.rollback()
        async with connection.transaction():
            kept = await post(connection, stream, "kept")
            part = connection.transaction()
            await part.start()
            await post(connection, stream, "to the savepoint")
            await part.rollback()
    assert [(each.id, each.seq) for each in await history(store, stream)] == [(kept, 1)]
    assert await outbox_size(store) == 1
    await store.close()


async def test_an_open_transaction_keeps_nobody_from_posting_in_the_room(postgres_url: str) -> None:
    store = await Store.open(postgres_url, call_timeout=3.0, migrate=True)
    stream = await new_stream(store)
    async with (
        login(postgres_url) as name,
        connected(postgres_url, name) as connection,
        connected(postgres_url, name) as other,
    ):
        async with connection.transaction():
            await post(connection, stream, "commits last")
            assert stored(await store.append([draft(stream, "a gateway's")]))[0].seq == 1
            await post(other, stream, "another application's")
        assert [each.body for each in await history(store, stream)] == [
            "a gateway's",
            "another application's",
            "commits last",
        ]
    await store.close()


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"room": 999}, "there is no room 999"),
        ({"room": None}, "there is no room NULL"),
        ({"audience": "all"}, "audience must be public or private, not all"),
        ({"audience": None}, "audience must be public or private, not NULL"),
        ({"type": ""}, "type must have 1 to 100 characters"),
        ({"type": "x" * 101}, "type must have 1 to 100 characters"),
        *(
            ({"type": each}, f"type {each} is reserved for the gateway")
            for each in ("presence", "deleted", "pending", "refused")
        ),
        ({"sender": "x" * 256}, "sender must have 1 to 255 characters"),
        ({"sender": None}, "sender must have 1 to 255 characters"),
        ({"sender": "ｈａｎｎａ"}, "sender must be in the form of user names"),
        ({"sender": "Jose\u0301"}, "sender must be in the form of user names"),
        ({"body": None}, "body must be a JSON value"),
        ({"body": json.dumps("x" * 999)}, r"body has 1001 bytes, and may have 1000 \(limits"),
        ({"body": "[" * 101 + "]" * 101}, "body is nested deeper than 100 levels"),
        ({"body": '{"a":' * 101 + "1" + "}" * 101}, "body is nested deeper than 100 levels"),
        ({"body": "1e900"}, None),
        ({"body": "[" * 100 + "]" * 100}, None),
        ({"body": "[" + "[]," * 150 + "[]]"}, None),
    ],
)
async def test_a_wrong_message_is_refused_with_what_would_be_right(
    postgres_url: str, changed: dict[str, Any], error: str | None
) -> None:
    store = await Store.open(postgres_url, posting=PostLimits(body=1000), migrate=True)
    stream = await new_stream(store)
    async with application(postgres_url) as connection:
        if error is None:
            await post(connection, stream, **changed)
            (message,) = await history(store, stream)
            assert message.encode()
        else:
            with pytest.raises(asyncpg.PostgresError, match=error):
                await post(connection, stream, **changed)
            assert await outbox_size(store) == 0
            assert stored(await store.append([draft(stream)]))[0].seq == 1
    await store.close()


async def test_a_number_that_readers_refuse_is_refused(postgres_url: str) -> None:
    store = await Store.open(postgres_url, migrate=True)
    stream = await new_stream(store)
    async with application(postgres_url) as connection:
        with pytest.raises(asyncpg.PostgresError, match="a number of 4,000 digits"):
            await post(connection, stream, body="1e4400")
    await store.close()


async def test_an_id_is_one_message(postgres_url: str) -> None:
    store = await Store.open(postgres_url, migrate=True)
    stream, other = await new_stream(store), await new_stream(store)
    async with application(postgres_url) as connection:
        id = await post(connection, stream, {"a": 1, "b": 2})
        async with connection.transaction():
            assert await post(connection, stream, {"b": 2, "a": 1}, id=id) == id
            assert await post(connection, stream, {"a": 1, "b": 2}, id=id) == id
        for changed in (
            {"body": json.dumps({"a": 1})},
            {"sender": "kim"},
            {"type": "other"},
            {"audience": "private"},
            {"room": other.room},
        ):
            with pytest.raises(asyncpg.UniqueViolationError, match=f"{id} was used for another"):
                await post(
                    connection,
                    stream,
                    **({"body": json.dumps({"a": 1, "b": 2}), "id": id} | changed),
                )
        new = uuid4()
        async with connection.transaction():
            await post(connection, stream, "one", id=new)
            with pytest.raises(asyncpg.UniqueViolationError, match=f"{new} was used for another"):
                async with connection.transaction():
                    await post(connection, stream, "other", id=new)

        # A gateway's, and the other way round.
        mine = draft(stream, "said \0 here")
        stored(await store.append([mine]))
        with pytest.raises(asyncpg.UniqueViolationError):
            await post(connection, stream, "said here", id=mine.id)
        (reused,) = await store.append([draft(stream, "x", id=id)])
        assert isinstance(reused, IdReused)
        (again,) = stored(await store.append([draft(stream, {"a": 1, "b": 2}, id=id)]))
        assert (again.id, again.seq) == (id, 1)

        # Also when its room is closed by now.
        await store.close_room(stream.room, NOON)
        assert await post(connection, stream, {"a": 1, "b": 2}, id=id) == id
        with pytest.raises(asyncpg.PostgresError, match=f"room {stream.room} is closed"):
            await post(connection, stream, "too late")
    assert [each.body for each in await history(store, stream)] == [
        {"a": 1, "b": 2},
        "one",
        "said \0 here",
    ]
    await store.close()


async def test_a_room_that_closes_before_the_commit_refuses_it(postgres_url: str) -> None:
    store = await Store.open(postgres_url, migrate=True)
    stream = await new_stream(store)
    async with application(postgres_url) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await post(connection, stream)
        await store.close_room(stream.room, NOON)
        with pytest.raises(asyncpg.PostgresError, match=f"room {stream.room} is closed"):
            await transaction.commit()
    assert await outbox_size(store) == 0
    await store.close()


async def test_a_room_keeps_no_more_than_its_quota(postgres_url: str) -> None:
    quota = Quota(messages=10)
    store = await Store.open(postgres_url, posting=PostLimits(quota), migrate=True)
    store.quota = quota
    stream = await new_stream(store)
    async with application(postgres_url) as connection:
        for _ in range(9):
            await post(connection, stream)
        with pytest.raises(
            asyncpg.PostgresError, match=f"room {stream.room} is full: its history has 9"
        ):
            await post(connection, stream)
        await post(connection, stream, sender="hanna")
        (full,) = await store.append([draft(stream)])
        assert isinstance(full, HistoryFull)
    await store.close()


async def test_only_who_is_granted_it_may_post_and_nothing_else(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = await Store.open(postgres_url, migrate=True)
    stream = await new_stream(store)
    async with application(postgres_url, granted=False) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await post(connection, stream)
    async with application(postgres_url) as connection:
        # A gateway that starts anew takes nothing away, and does not wait for who has posted.
        async with connection.transaction():
            await post(connection, stream)
            await (await Store.open(postgres_url, call_timeout=5.0, migrate=True)).close()
        await post(connection, stream)
        for statement in (
            "SELECT * FROM messages",
            "SELECT * FROM interact.posted",
            "INSERT INTO interact.posted (id) VALUES (gen_random_uuid())",
            "CREATE TABLE interact.mine ()",
            # A table of its own in place of the gateway's.
            "CREATE TEMPORARY TABLE rooms (id bigint); SELECT * FROM messages",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    assert len(await history(store, stream)) == 2
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]
    await store.close()


async def test_nobody_gets_the_gateways_rights_by_an_operator_that_fits_better(
    postgres_url: str,
) -> None:
    store = await Store.open(postgres_url, posting=PostLimits(Quota(messages=10)), migrate=True)
    stream = await new_stream(store)
    owner = await asyncpg.connect(address(postgres_url))
    # As it was for everybody before PostgreSQL 15.
    await owner.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
    async with application(postgres_url) as connection:
        for other in ("integer", "double precision", "bigint"):
            await connection.execute(
                f"CREATE FUNCTION public.taken(numeric, {other}) RETURNS numeric LANGUAGE plpgsql"
                " AS $$ BEGIN RAISE 'by %', current_user; END $$;"
                f"CREATE OPERATOR public.+ (LEFTARG = numeric, RIGHTARG = {other}, "
                "FUNCTION = public.taken)"
            )
        await post(connection, stream)
        assert len(await history(store, stream)) == 1
    await owner.close()
    await store.close()


async def test_applications_and_gateways_at_once_leave_no_hole_and_no_deadlock(
    postgres_url: str,
) -> None:
    store = await Store.open(postgres_url, migrate=True)
    streams = [await new_stream(store) for _ in range(3)]

    async def apply(turn: int, name: str) -> None:
        async with connected(postgres_url, name) as connection:
            for number in range(15):
                async with connection.transaction():
                    # In another order each time.
                    for stream in sorted(streams, key=lambda one: (one.room * (turn + 1)) % 7):
                        await post(connection, stream, f"{turn}.{number}")

    async def append(turn: int) -> None:
        for number in range(15):
            stored(await store.append([draft(each, f"{turn}.{number}") for each in streams]))

    async with login(postgres_url) as name:
        await asyncio.gather(*(apply(turn, name) for turn in range(4)), *map(append, range(4, 7)))

    for stream in streams:
        kept = await history(store, stream)
        assert [each.seq for each in kept] == list(range(1, 7 * 15 + 1))
        for turn in range(7):
            said = [each.body for each in kept if each.body.startswith(f"{turn}.")]
            assert said == [f"{turn}.{number}" for number in range(15)]
    await store.close()


async def test_a_gateway_hears_of_it_and_hears_again_after_its_connection_was_lost(
    postgres_url: str,
) -> None:
    store = await Store.open(postgres_url, migrate=True)
    stream = await new_stream(store)
    heard = asyncio.Event()
    hearing = asyncio.create_task(store.hear(heard.set))
    await heard.wait()
    heard.clear()
    async with application(postgres_url) as connection:
        await post(connection, stream)
        await heard.wait()
    owner = await asyncpg.connect(address(postgres_url))
    await owner.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND query LIKE 'LISTEN%' OR query = 'SELECT 1'"
    )
    await owner.close()
    await hearing
    await store.close()


async def test_without_the_right_to_make_it_the_gateway_starts_and_names_the_remedy(
    new_database: NewDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    postgres_url = new_database()
    owner = await asyncpg.connect(address(postgres_url))
    login = f"gateway_{uuid4().hex}"
    await owner.execute(f"CREATE ROLE {login} LOGIN; CREATE SCHEMA {login} AUTHORIZATION {login};")
    url = postgres_url.replace("//interact@", f"//{login}@")
    assert url != postgres_url
    store = await Store.open(url, migrate=True)
    assert "CREATE SCHEMA interact AUTHORIZATION <login>" in caplog.text
    await store.close()

    # Somebody else's schema, in which it may make something.
    await owner.execute(f"CREATE SCHEMA interact; GRANT ALL ON SCHEMA interact TO {login}")
    caplog.clear()
    await (await Store.open(url, migrate=True)).close()
    assert "CREATE SCHEMA interact AUTHORIZATION <login>" in caplog.text

    await owner.execute(f"ALTER SCHEMA interact OWNER TO {login}")
    caplog.clear()
    store = await Store.open(url, migrate=True)
    stream = await new_stream(store)
    await post(owner, stream)
    assert len(await history(store, stream)) == 1
    await store.close()
    assert "interact.post" not in caplog.text

    # A gateway with other tables in the same database leaves it alone.
    other = await Store.open(postgres_url, migrate=True)
    assert "interact.post of this database belongs to the gateway with tables in" in caplog.text
    await other.close()
    await owner.execute(f"DROP OWNED BY {login} CASCADE; DROP ROLE {login}")
    await owner.close()


async def test_the_tables_stay_where_they_are_for_a_login_with_the_name_of_the_schema(
    postgres_url: str,
) -> None:
    # "$user" is first in the search path of every login.
    assert "//interact@" in postgres_url
    store = await Store.open(postgres_url, migrate=True)
    stream = await new_stream(store)
    kept = stored(await store.append([draft(stream)]))
    await store.close()
    owner = await asyncpg.connect(address(postgres_url))
    # As an older gateway left them; the newer one makes a table.
    await owner.execute("; ".join(LATER))
    await owner.execute(
        "DROP TABLE acknowledged; ALTER TABLE streams DROP COLUMN bytes; ALTER TABLE rooms"
        " DROP COLUMN identity, DROP COLUMN queue, DROP COLUMN queue_due, DROP COLUMN created_by;"
        "ALTER TABLE outbox DROP COLUMN size; DELETE FROM counters WHERE name = 'rooms created';"
        "DROP TABLE revocations; ALTER TABLE sessions DROP COLUMN last_seen, DROP COLUMN address,"
        " DROP COLUMN device, DROP COLUMN token_id, DROP COLUMN token_subject, DROP COLUMN reason;"
        "ALTER TABLE members DROP COLUMN name; ALTER TABLE messages DROP COLUMN sender_name;"
        "ALTER TABLE accounts DROP COLUMN display_name;"
        "UPDATE alembic_version SET version_num = '0006'"
    )
    again = await Store.open(postgres_url, migrate=True)
    assert await history(again, stream) == kept
    tables = await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'interact'")
    assert [table["tablename"] for table in tables] == ["posted"]
    await owner.close()
    await again.close()
