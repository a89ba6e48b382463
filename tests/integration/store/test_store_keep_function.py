"""`interact.keep`: an application writes a room's kept state in transactions of its own, on
PostgreSQL."""

from __future__ import annotations

import json
from typing import Any, cast
from uuid import UUID, uuid4

import asyncpg
import pytest

from broker.topology import Audience, Stream
from gateway.domain.room import MemberRole
from gateway.errors import NotOpen
from gateway.store import Store
from gateway.store.post_function import PostLimits
from tests.integration.store.content import NOON, draft, history, new_stream, stored
from tests.integration.store.test_store_post_function import address, application, post
from tests.integration.store.test_store_state import kept, sizes, whole
from tests.kept_fold import standing

pytestmark = [pytest.mark.postgres, pytest.mark.gen_test]

KEEP = "SELECT interact.keep($1, $2, $3, $4, $5, $6, $7, $8, $9)"


async def keep(
    connection: Any, stream: Stream, key: str | None, value: Any, **changed: Any
) -> UUID:
    values: dict[str, Any] = {
        "room": stream.room,
        "audience": str(stream.audience),
        "key": key,
        "type": "chat",
        "body": json.dumps(value),
        "sender": "paul",
        "of_user": None,
        "only_while": None,
        "id": uuid4(),
    } | changed
    return cast(UUID, await connection.fetchval(KEEP, *values.values()))


async def granted(url: str) -> Any:
    """The gateway's own login, which may call both."""
    return await asyncpg.connect(address(url))


async def test_what_an_application_keeps_is_the_fold_of_the_history(postgres_url: str) -> None:
    store = await Store.open(postgres_url, migrate=True)
    stream = await new_stream(store)
    connection = await granted(postgres_url)
    async with connection.transaction():
        await keep(connection, stream, "score", 1)
        await keep(connection, stream, "score", 2, sender="hanna")
        await keep(connection, stream, "score", 3)
        await keep(connection, stream, "score", 4, sender="the school's own program")
        await keep(connection, stream, "hand", 5, sender="hanna", of_user="kim")
        await keep(connection, stream, "gone", None)
        await keep(connection, stream, "gone", 6)
        await keep(connection, stream, "gone", None)
        await post(connection, stream, "without a key")
        assert await whole(store, stream) == []
    found = await history(store, stream)
    state = await whole(store, stream)
    assert state == standing(found)
    assert [(m.keep, m.body, m.role, m.of) for m in state] == [
        ("score", 2, MemberRole.HOST, None),
        ("score", 3, MemberRole.PARTICIPANT, None),
        ("score", 4, None, None),
        ("hand", 5, MemberRole.HOST, "kim"),
    ]
    # Gateways and applications write the same entries.
    stored(await store.append([kept(stream, "score", 7, host=False), kept(stream, "score", 8)]))
    await keep(connection, stream, "score", 9)
    assert await whole(store, stream) == standing(await history(store, stream))
    page = await store.read_state(stream, after=len(found), limit=9)
    assert [m.body for m in page.messages] == [8, 9]
    whole_transaction = connection.transaction()
    await whole_transaction.start()
    await keep(connection, stream, "score", "never")
    await whole_transaction.rollback()
    assert "never" not in [m.body for m in await whole(store, stream)]
    await connection.close()
    await store.close()


async def test_a_condition_is_judged_at_the_commit(postgres_url: str) -> None:
    store = await Store.open(postgres_url, migrate=True)
    stream = await new_stream(store)
    connection = await granted(postgres_url)
    with pytest.raises(asyncpg.PostgresError, match="nothing stands under the key voting"):
        await keep(connection, stream, "vote", 1, only_while="voting")
    await keep(connection, stream, "voting", {}, sender="hanna")
    await keep(connection, stream, "vote", "in time", only_while="voting")
    transaction = connection.transaction()
    await transaction.start()
    await keep(connection, stream, "vote", "late", only_while="voting")
    # A gateway closes it meanwhile.
    stored(await store.append([kept(stream, "voting", None)]))
    with pytest.raises(asyncpg.PostgresError, match="nothing stands under the key voting"):
        await transaction.commit()
    assert [m.body for m in await whole(store, stream)] == ["in time"]
    # And the other way round.
    await keep(connection, stream, "voting", {}, sender="hanna")
    stored(await store.append([kept(stream, "vote", 2, only_while="voting")]))
    await keep(connection, stream, "voting", None, sender="hanna")
    (refused,) = await store.append([kept(stream, "vote", 3, only_while="voting")])
    assert isinstance(refused, NotOpen)
    await connection.close()
    await store.close()


async def test_a_wrong_key_and_too_many_are_refused(postgres_url: str) -> None:
    limits = PostLimits(kept=100, kept_of_room=1, kept_of_user=2)
    store = await Store.open(postgres_url, posting=limits, migrate=True)
    stream = await new_stream(store)
    connection = await granted(postgres_url)
    for key, changed, error in (
        (None, {}, "key must not be NULL"),
        ("", {}, "a key has 1 to 150"),
        ("a b", {}, "a key has 1 to 150"),
        ("x" * 151, {}, "a key has 1 to 150"),
        ("a", {"only_while": "-"}, "a key has 1 to 150"),
        ("a", {"of_user": ""}, "of_user must have 1 to 255"),
        ("a", {"body": json.dumps("x" * 100)}, r"with a key may have 100 \(limits.kept_bytes"),
        ("a", {"room": 999}, "there is no room 999"),
    ):
        with pytest.raises(asyncpg.PostgresError, match=error):
            await keep(connection, stream, key, 1, **changed)
    for key in "ab":
        await keep(connection, stream, key, 1)
    with pytest.raises(asyncpg.PostgresError, match="has 2 such entries"):
        await keep(connection, stream, "c", 1)
    await keep(connection, stream, "a", 2)
    await keep(connection, stream, "a", None)
    await keep(connection, stream, "c", 1)
    await keep(connection, stream, "a", 1, sender="hanna")
    with pytest.raises(asyncpg.PostgresError, match="has 1 such entries"):
        await keep(connection, stream, "b", 1, sender="hanna")
    await keep(connection, Stream(Audience.PRIVATE, stream.room), "b", 1, sender="hanna")
    await connection.close()
    await store.close()


async def test_bytes_are_counted_and_bounded_whoever_writes(postgres_url: str) -> None:
    limits = PostLimits(kept_bytes_of_user=10, kept_bytes_of_users=15)
    store = await Store.open(postgres_url, posting=limits, migrate=True)
    stream = await new_stream(store)
    connection = await granted(postgres_url)
    await keep(connection, stream, "a", "x" * 4)
    await keep(connection, stream, "a", "x" * 6)
    with pytest.raises(asyncpg.PostgresError, match="has 8 bytes of paul, and 8 of all authors"):
        await keep(connection, stream, "b", 123)
    await keep(connection, stream, "b", 12)
    await keep(connection, stream, "a", "x" * 5)
    with pytest.raises(asyncpg.PostgresError, match="has 0 bytes of kim, and 9 of all authors"):
        await keep(connection, stream, "a", 1234567, sender="hanna", of_user="kim")
    stored(await store.append([kept(stream, "a", 123456, host=False, sender="kim")]))
    # The room's own are not among them.
    await keep(connection, stream, "a", "x" * 100, sender="hanna")
    counted = {("public", "paul"): 9, ("public", "kim"): 6, ("public", ""): 15}
    assert await sizes(store, stream.room) == counted
    for key in "ab":
        await keep(connection, stream, key, None)
    assert await sizes(store, stream.room) == {("public", "kim"): 6, ("public", ""): 6}
    await connection.close()
    await store.close()


async def test_an_id_is_one_entry(postgres_url: str) -> None:
    store = await Store.open(postgres_url, migrate=True)
    stream = await new_stream(store)
    connection = await granted(postgres_url)
    id = await keep(connection, stream, "a", 1, of_user="kim", sender="hanna")
    again = {"id": id, "of_user": "kim", "sender": "hanna"}
    assert await keep(connection, stream, "a", 1, **again) == id
    for key, changed in (("b", {}), ("a", {"of_user": "lee"}), ("a", {"of_user": None})):
        with pytest.raises(asyncpg.UniqueViolationError):
            await keep(connection, stream, key, 1, **{**again, **changed})
    async with connection.transaction():
        new = await keep(connection, stream, "a", 2)
        with pytest.raises(asyncpg.UniqueViolationError):
            async with connection.transaction():
                await keep(connection, stream, "b", 2, id=new)
        assert await keep(connection, stream, "a", 2, id=new) == new
    assert len(await history(store, stream)) == 2
    await connection.close()
    await store.close()


async def test_keeping_is_granted_apart_and_what_is_inside_to_nobody(postgres_url: str) -> None:
    store = await Store.open(postgres_url, migrate=True)
    stream = await new_stream(store)
    async with application(postgres_url) as connection:
        await post(connection, stream)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await keep(connection, stream, "a", 1)
        inside = "SELECT interact.take($1, 'public', 'x', '1', 'x', NULL, NULL, NULL, NULL)"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(inside, stream.room)
        owner = await granted(postgres_url)
        role = await connection.fetchval("SELECT current_user")
        await owner.execute(f"GRANT EXECUTE ON FUNCTION interact.keep TO {role}")
        await keep(connection, stream, "a", 1)
        # A gateway that starts anew takes nothing away.
        await (await Store.open(postgres_url, migrate=True)).close()
        await keep(connection, stream, "b", 1)
        await owner.close()
    await store.close()


async def test_a_function_of_the_version_before_is_renewed_with_its_grants(
    postgres_url: str,
) -> None:
    store = await Store.open(postgres_url, migrate=True)
    stream = await new_stream(store)
    async with application(postgres_url) as connection:
        owner = await granted(postgres_url)
        await owner.execute(
            "DROP FUNCTION interact.keep; DROP FUNCTION interact.take;"
            " ALTER TABLE interact.posted DROP COLUMN keep, DROP COLUMN of_user,"
            " DROP COLUMN only_while"
        )
        await (await Store.open(postgres_url, migrate=True)).close()
        await post(connection, stream, "as before")
        await keep(owner, stream, "a", 1)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await keep(connection, stream, "a", 1)
        await owner.close()
    stored(await store.append([draft(stream, at=NOON)]))
    assert len(await history(store, stream)) == 3
    await store.close()


async def test_what_is_over_opens_nothing_and_is_given_more_time_by_a_host(
    postgres_url: str,
) -> None:
    store = await Store.open(postgres_url, migrate=True)
    stream = await new_stream(store)
    connection = await granted(postgres_url)
    past, future = "2000-01-01T00:00:00Z", "2999-01-01T00:00:00.5+09:00"
    for until, is_open in (
        *((past, False), (future, True), (None, True), (7, True), ("soon", True)),
        *(("2000-01-01", True), ("2000-01-01T00:00:00", True), ("2000-99-01T00:00:00Z", True)),
    ):
        await keep(connection, stream, "voting", {"until": until}, sender="hanna")
        vote = keep(connection, stream, "vote", until, only_while="voting")
        if is_open:
            await vote
        else:
            with pytest.raises(asyncpg.PostgresError, match=r"the key voting .* is over"):
                await vote
    await keep(connection, stream, "voting", {"until": past}, sender="hanna")
    more = {"until": future}
    await keep(connection, stream, "voting", more, sender="hanna", only_while="voting")
    await keep(connection, stream, "vote", "in time", only_while="voting")
    await connection.close()
    await store.close()


async def test_keys_that_are_orders_to_the_gateway_are_refused(postgres_url: str) -> None:
    store = await Store.open(postgres_url, migrate=True)
    public = await new_stream(store)
    private = Stream(Audience.PRIVATE, public.room)
    connection = await granted(postgres_url)
    for stream, key in (
        *((public, "settings"), (public, "hidden:1"), (public, "hidden")),
        *((private, "muted:paul"), (private, "muted")),
    ):
        with pytest.raises(asyncpg.PostgresError, match=f"the key {key} is an order"):
            await keep(connection, stream, key, {}, sender="hanna")
    for stream, key in ((private, "settings"), (public, "muted"), (public, "hiddenness")):
        await keep(connection, stream, key, {}, sender="hanna")
    await keep(connection, public, "settings", {}, sender="hanna", of_user="paul")
    await connection.close()
    await store.close()
