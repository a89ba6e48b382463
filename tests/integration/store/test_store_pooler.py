"""PgBouncer before PostgreSQL: a session, or each transaction, has a connection of the server."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devenv.pgbouncer import PgBouncer
from devenv.postgres import Postgres
from gateway.store import Store
from tests.integration.store.content import draft, history, new_stream, stored

Pooler = Callable[..., str]


@pytest.fixture
def pooler(postgres: Postgres, postgres_url: str, tmp_path: Path) -> Iterator[Pooler]:
    """Starts one; gives the URL of this test's database behind it."""
    started: list[PgBouncer] = []

    def start(**options: str) -> str:
        started.append(PgBouncer(tmp_path, postgres, **options))
        started[-1].start()
        return started[-1].url(postgres_url.rpartition("/")[2])

    yield start
    for one in started:
        one.destroy()


@pytest.mark.postgres
@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({"pool_mode": "session"}, ""),
        ({"pool_mode": "transaction"}, ""),
        # It does not show itself, and is known by what goes wrong; or by being named.
        (
            {"pool_mode": "transaction", "ignored": "idle_in_transaction_session_timeout"},
            "",
        ),
        (
            {"pool_mode": "transaction", "ignored": "idle_in_transaction_session_timeout"},
            "?pgbouncer=true",
        ),
    ],
    ids=["session", "transaction", "ignoring", "named"],
)
async def test_a_gateway_works_behind_a_pooler(
    pooler: Pooler, options: dict[str, str], parameters: str
) -> None:
    store = await Store.open(pooler(**options) + parameters, migrate=True)
    streams = [await new_stream(store) for _ in range(4)]
    for number in range(5):
        await asyncio.gather(
            *(store.append([draft(stream, number)]) for stream in streams),
            *(store.roster(stream.room) for stream in streams),
            *(store.read(stream, after=0, limit=10) for stream in streams),
            store.renew_lease(10),
            store.ping(),
        )
    for stream in streams:
        kept = await history(store, stream)
        assert [message.body for message in kept] == [0, 1, 2, 3, 4]
    (again,) = stored(await store.append([draft(streams[0], "last")]))
    await store.mark_published([again.id])
    assert await store.is_published(again.id)
    await store.close()
