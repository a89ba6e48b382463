"""A failover of PostgreSQL: the standby is promoted, and the old server goes on, read-only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from broker.topology import Stream
from devenv.postgres import Postgres
from gateway.errors import StoreUnavailable
from gateway.store import Store
from tests.integration.conftest import make_tables
from tests.integration.store.content import draft, history, new_stream, stored

_DATABASE = "school"


@pytest.fixture
def primary(tmp_path: Path) -> Iterator[Postgres]:
    server = Postgres(tmp_path / "primary")
    try:
        server.start()
        server.create_database(_DATABASE)
        make_tables(server.url(_DATABASE))
        yield server
    finally:
        server.destroy()


@pytest.fixture
def standby(primary: Postgres, tmp_path: Path) -> Iterator[Postgres]:
    server = Postgres(tmp_path / "standby")
    try:
        server.follow(primary)
        yield server
    finally:
        server.destroy()


class Address:
    """One address for the server that writes, as a floating address or a proxy has it. Connections
    that stand stay where they lead to."""

    def __init__(self, leads_to: Postgres) -> None:
        self.leads_to = leads_to
        self._pumps: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            yield f"postgresql://interact@127.0.0.1:{port}/{_DATABASE}"
        finally:
            server.close()
            for pump in self._pumps:
                pump.cancel()
            await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _connected(
        self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        theirs, to_server = await asyncio.open_connection("127.0.0.1", self.leads_to.port)
        for source, sink in ((client, to_server), (theirs, to_client)):
            pump = asyncio.create_task(_pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        with suppress(ConnectionError):
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()
    finally:
        sink.close()


#: The connections that gateways have to a server.
_GATEWAYS = "select count(*) from pg_stat_activity where datname = 'school'"


async def _says(server: Postgres, statement: str, wanted: str) -> None:
    """Wait until the server says this; PostgreSQL tells nobody."""
    async with asyncio.timeout(20):
        while await asyncio.to_thread(server.sql, statement) != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def _append(store: Store, stream: Stream, body: str) -> int | None:
    """The seq of a message that is posted until it is stored; it fails only for one reason."""
    reasons = set()
    async with asyncio.timeout(20):
        while True:
            try:
                (added,) = stored(await store.append([draft(stream, body)]))
            except StoreUnavailable as error:
                reasons.add(str(error.reason)[-7:])
                await asyncio.sleep(0.05)
            else:
                assert reasons <= {"(25006)"}
                return added.seq


@pytest.mark.postgres
@pytest.mark.gen_test
async def test_a_gateway_leaves_the_server_that_became_read_only_for_the_promoted_one(
    primary: Postgres, standby: Postgres
) -> None:
    address = Address(primary)
    both = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
    async with address.open() as url:
        stores = [
            await Store.open(url),
            await Store.open(f"postgresql://interact@{both}/{_DATABASE}"),
        ]
        stream = await new_stream(stores[0])
        listening = []
        for store in stores:
            hears = asyncio.Event()
            listening.append(asyncio.create_task(store.hear(hears.set)))
            await hears.wait()
            # A pool with several connections, none of which may be used again.
            await asyncio.gather(*(store.roster(stream.room) for _ in range(4)))
            assert await _append(store, stream, "before")
        written = await asyncio.to_thread(primary.sql, "select pg_current_wal_lsn()")
        await _says(standby, f"select pg_last_wal_replay_lsn() >= '{written}'", "t")
        for statement in (
            "alter system set default_transaction_read_only = on",
            "select pg_reload_conf()",
        ):
            await asyncio.to_thread(primary.sql, statement)
        await asyncio.to_thread(standby.promote)
        address.leads_to = standby
        assert [await _append(store, stream, "after") for store in stores] == [3, 4]
        async with asyncio.timeout(20):
            # Whoever listens at the old server hears nothing any more.
            await asyncio.gather(*listening)
        for store in stores:
            await store.ping()
            for _ in range(3):
                await asyncio.gather(*(store.roster(stream.room) for _ in range(9)))
            kept = await history(store, stream)
            assert [message.body for message in kept] == ["before", "before", "after", "after"]
        await _says(primary, _GATEWAYS, "0")
        for store in stores:
            await store.close()
