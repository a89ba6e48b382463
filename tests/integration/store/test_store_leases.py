"""Which gateway publishes what is in the outbox, over both databases."""

import asyncio
import time

import pytest

from devenv.postgres import Postgres
from gateway.store import Store
from tests.integration.store.content import draft, history, new_stream, stored

LONG = 60.0


@pytest.mark.gen_test
async def test_a_lease_is_kept_by_renewing_it_and_ends_by_itself(store: Store) -> None:
    assert not await store.renew_lease(LONG)
    assert await store.renew_lease(LONG)
    assert await store.renew_lease(-1.0)
    assert not await store.renew_lease(LONG)


@pytest.mark.gen_test
async def test_messages_stored_by_a_living_gateway_are_its_own(
    store: Store, other_gateway: Store
) -> None:
    await other_gateway.renew_lease(LONG)
    await store.renew_lease(LONG)
    stream = await new_stream(store)
    kept = stored(await store.append([draft(stream), draft(stream)]))
    assert (await store.unpublished_in(stream, after=0, limit=9)).messages == kept
    assert await other_gateway.unpublished_streams() == []
    assert (await other_gateway.unpublished_in(stream, after=0, limit=9)).messages == []
    assert await other_gateway.take_over(limit=9) == []
    assert not await other_gateway.is_published(kept[0].id)


@pytest.mark.gen_test
async def test_a_dead_gateways_messages_are_taken_over_in_order_and_in_batches(
    store: Store, other_gateway: Store
) -> None:
    await store.renew_lease(LONG)
    one, two = await new_stream(store), await new_stream(store)
    await store.append([draft((one, two)[n % 2], n) for n in range(10)])
    await store.renew_lease(-1.0)
    await other_gateway.renew_lease(LONG)
    assert await other_gateway.take_over(limit=5) == [one] * 5
    assert await other_gateway.unpublished_streams() == [one]
    assert await other_gateway.take_over(limit=9) == [two] * 5
    assert await other_gateway.take_over(limit=9) == []
    for stream in (one, two):
        page = (await other_gateway.unpublished_in(stream, after=0, limit=9)).messages
        assert page == await history(store, stream)
    assert await store.unpublished_streams() == []


@pytest.mark.gen_test
async def test_ending_the_lease_gives_everything_back_at_once(
    store: Store, other_gateway: Store
) -> None:
    await other_gateway.renew_lease(LONG)
    await store.renew_lease(LONG)
    stream = await new_stream(store)
    await store.append([draft(stream)])
    await store.end_lease()
    assert await other_gateway.take_over(limit=9) == [stream]


@pytest.mark.gen_test
async def test_a_message_published_by_any_gateway_has_left_the_outbox_for_all(
    store: Store, other_gateway: Store
) -> None:
    stream = await new_stream(store)
    (kept,) = stored(await store.append([draft(stream)]))
    await other_gateway.mark_published([kept.id])
    assert await store.is_published(kept.id)
    assert await store.unpublished_streams() == []


@pytest.mark.gen_test
async def test_a_gateway_on_a_file_does_not_wait_for_the_one_before(tmp_path: object) -> None:
    before, after = [
        await Store.open(f"sqlite:///{tmp_path}/interact.db", migrate=True) for _ in range(2)
    ]
    await before.renew_lease(LONG)
    stream = await new_stream(before)
    await before.append([draft(stream)])
    await after.renew_lease(LONG)
    assert await after.take_over(limit=9) == [stream]
    assert not await before.renew_lease(LONG)
    for store in (before, after):
        await store.close()


@pytest.mark.gen_test
async def test_gateways_that_take_over_at_once_share_the_messages_and_none_goes_to_two(
    store: Store, store_url: str
) -> None:
    streams = [await new_stream(store) for _ in range(4)]
    kept = stored(await store.append([draft(streams[n % 4], n) for n in range(400)]))
    gateways = [await Store.open(store_url, migrate=True) for _ in range(4)]
    for gateway in gateways:
        await gateway.renew_lease(LONG)
    # On a file, where one who comes ends the lease of the one before, there is only the last.
    takers = gateways[-1:] if store_url.startswith("sqlite") else gateways

    async def take_all(taker: Store) -> int:
        taken = 0
        while got := await taker.take_over(limit=30):
            taken += len(got)
        return taken

    assert sum(await asyncio.gather(*map(take_all, takers))) == 400
    owned = [
        message.id
        for taker in takers
        for stream in streams
        for message in (await taker.unpublished_in(stream, after=0, limit=400)).messages
    ]
    assert sorted(owned) == sorted(message.id for message in kept)
    for gateway in gateways:
        await gateway.close()


@pytest.mark.postgres
@pytest.mark.gen_test
async def test_rows_that_another_gateway_is_taking_are_skipped_and_not_waited_for(
    postgres: Postgres, postgres_url: str
) -> None:
    store, slow, quick = [await Store.open(postgres_url, migrate=True) for _ in range(3)]
    stream = await new_stream(store)
    await store.append([draft(stream), draft(stream)])
    for taker in (slow, quick):
        await taker.renew_lease(LONG)
    held = asyncio.Event()
    let_go = asyncio.Event()
    engine = slow._database._database._engine  # type: ignore[attr-defined]

    async def lock_the_first() -> None:
        async with engine.begin() as connection:
            await connection.exec_driver_sql("SELECT 1 FROM outbox WHERE seq = 1 FOR UPDATE")
            held.set()
            await let_go.wait()

    locking = asyncio.create_task(lock_the_first())
    await held.wait()
    assert await quick.take_over(limit=9) == [stream]
    assert [m.seq for m in (await quick.unpublished_in(stream, after=0, limit=9)).messages] == [2]
    let_go.set()
    await locking
    assert await quick.take_over(limit=9) == [stream]
    for each in (store, slow, quick):
        await each.close()


@pytest.mark.gen_test
async def test_a_gateway_compares_its_clock_with_the_databases(store: Store) -> None:
    await store.renew_lease(LONG)
    for ahead in (0.0, -3600.0):
        met = await store.meet("here", hears=True, clock=lambda by=ahead: time.time() + by)  # type: ignore[misc]
        assert abs(met.ahead - ahead) < 1.0
        assert met.others == ()


@pytest.mark.postgres
@pytest.mark.gen_test
async def test_living_gateways_read_of_each_other_what_each_has_written(postgres_url: str) -> None:
    north, south, dead = [await Store.open(postgres_url, migrate=True) for _ in range(3)]
    for each in (north, south):
        assert not await each.renew_lease(LONG)
    # A gateway of an earlier version, or one that has not said anything yet.
    assert (await north.meet("north", hears=True, clock=time.time)).others == ()
    await dead.renew_lease(-1.0)
    await dead.meet("dead", hears=True, clock=time.time)
    (met,) = (await south.meet("south", hears=False, clock=lambda: time.time() + 60)).others
    assert (met.name, met.hears) == ("north", True)
    (met,) = (await north.meet("north", hears=True, clock=time.time)).others
    assert (met.name, met.hears) == ("south", False)
    assert met.ahead is not None
    assert 59 < met.ahead < 61
    # A renewed lease keeps it.
    assert await south.renew_lease(LONG)
    assert len((await north.meet("north", hears=True, clock=time.time)).others) == 1
    for each in (north, south, dead):
        await each.close()


@pytest.mark.postgres
@pytest.mark.gen_test
async def test_what_a_gateway_leaves_others_hear_of_and_take(postgres_url: str) -> None:
    leaving, taking = [await Store.open(postgres_url, migrate=True) for _ in range(2)]
    for each in (leaving, taking):
        await each.renew_lease(LONG)
    heard = asyncio.Event()
    hearing = asyncio.create_task(taking.hear(heard.set))
    await heard.wait()
    heard.clear()
    stream = await new_stream(leaving)
    stored(await leaving.append([draft(stream) for _ in range(3)]))
    assert await leaving.release(limit=2) == 2
    await heard.wait()
    assert await taking.take_over(limit=9) == [stream, stream]
    assert await leaving.release(limit=9) == 1
    assert await leaving.release(limit=9) == 0
    assert await leaving.unpublished_streams() == []
    hearing.cancel()
    await asyncio.wait({hearing})
    for each in (leaving, taking):
        await each.close()
