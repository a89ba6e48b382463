"""Sessions end on every gateway: by a word at once, and without one within a second."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.timing.tasks import Tasks
from gateway.auth.ended import EndedSessions
from gateway.cluster.session_revocation import CLEAN, SessionRevocation
from gateway.domain.identity import Identity
from gateway.domain.session import EndedSession, Endings, LoginSession, Proof
from gateway.errors import GatewayError, SessionEnded, StoreUnavailable
from tests.unit.cluster.bus_network import Network
from tests.unit.cluster.test_revocation import until
from tests.virtual_time import run

START = datetime(2026, 11, 29, 9, tzinfo=UTC)


def login(id: str, *, hours: float = 8) -> LoginSession:
    return LoginSession(id, "paul", Proof.PASSWORD, START, START + timedelta(hours=hours))


class Database:
    """Endings in their order. ``away``: for these gateways it does not answer."""

    def __init__(self) -> None:
        self.ended: list[EndedSession] = []
        self.away: set[str] = set()

    def end(self, session: LoginSession) -> EndedSession:
        self.ended.append(EndedSession(session.id, session.until, len(self.ended) + 1))
        return self.ended[-1]


class View:
    """The database as one gateway reaches it."""

    def __init__(self, database: Database, gateway: str) -> None:
        self._database = database
        self._gateway = gateway
        self.looks: list[int] = []
        self.cleaned: list[datetime] = []

    async def end_session(self, session: LoginSession) -> EndedSession:
        await self._answer()
        return self._database.end(session)

    async def sessions_ended_since(self, revision: int) -> Endings:
        await self._answer()
        self.looks.append(revision)
        ended = self._database.ended
        return Endings(len(ended), ended[revision:])

    async def forget_sessions(self, before: datetime) -> None:
        await self._answer()
        self.cleaned.append(before)

    async def _answer(self) -> None:
        await asyncio.sleep(0.005)
        if self._gateway in self._database.away:
            raise StoreUnavailable("the database is away")


class Connection:
    """A client's connection that records its end."""

    def __init__(self, session: str | None, *, known: bool = True) -> None:
        self.identity = Identity("paul", frozenset(), math.inf, session) if known else None
        self.reason: GatewayError | None = None

    def end(self, error: GatewayError | None) -> None:
        self.reason = error


class Gateway:
    """A gateway's connections and its revocation of sessions."""

    def __init__(self, network: Network, database: Database, name: str) -> None:
        self.bus = network.bus(name)
        self.view = View(database, name)
        loop = asyncio.get_running_loop()
        self.ended = EndedSessions(clock=lambda: START.timestamp() + loop.time())
        self.connections: list[Connection] = []
        self.told: list[Any] = []
        self.session_revocation = SessionRevocation(
            self.view,
            self.ended,
            self.connections,
            self.bus,
            clock=lambda: START.timestamp() + loop.time(),
            tasks=Tasks(),
        )
        self.session_revocation.observe(self.told.append)

    def connection(self, session: str | None, *, known: bool = True) -> Connection:
        self.connections.append(Connection(session, known=known))
        return self.connections[-1]


@asynccontextmanager
async def cluster(
    database: Database, network: Network | None = None
) -> AsyncIterator[tuple[Gateway, Gateway]]:
    network = network or Network()
    made = [Gateway(network, database, name) for name in ("north", "south")]
    for gateway in made:
        await gateway.session_revocation.poll()
        gateway.bus.start()
        gateway.session_revocation.start()
    await asyncio.sleep(2)
    yield made[0], made[1]
    for gateway in made:
        await gateway.session_revocation.close()
        await gateway.bus.close()


def test_a_session_ends_on_all_gateways_at_once_and_no_other_does() -> None:
    async def scenario() -> None:
        async with cluster(Database()) as (north, south):
            here, there = north.connection("one"), [south.connection("one") for _ in range(3)]
            spared = [
                south.connection("two"),
                south.connection(None),
                south.connection("one", known=False),
            ]
            await north.session_revocation.end(login("one"))
            assert isinstance(here.reason, SessionEnded)
            await until(lambda: all(each.reason for each in there), within=0.1)
            assert not any(each.reason for each in spared)
            assert north.told == south.told == [{"one"}]
            assert "one" in north.ended
            assert "one" in south.ended

    run(scenario())


@pytest.mark.parametrize("moment", [n / 10 for n in range(10)])
def test_sessions_ended_by_another_process_are_ended_here_within_a_second(moment: float) -> None:
    async def scenario() -> None:
        database = Database()
        async with cluster(database, Network(away=True)) as (north, south):
            sockets = [gateway.connection("one") for gateway in (north, south)]
            await asyncio.sleep(moment)
            database.end(login("one"))
            assert await until(lambda: all(each.reason for each in sockets), within=2) < 1

    run(scenario())


def test_a_gateway_that_starts_knows_what_has_ended_before_it_serves() -> None:
    async def scenario() -> None:
        database = Database()
        database.end(login("one"))
        database.end(login("two"))
        gateway = Gateway(Network(), database, "north")
        await gateway.session_revocation.poll()
        assert "one" in gateway.ended
        assert "two" in gateway.ended
        await gateway.session_revocation.poll()
        assert gateway.view.looks == [0, 2], "what is known is not read again"

    run(scenario())


def test_a_gateway_that_cannot_learn_what_has_ended_does_not_start() -> None:
    async def scenario() -> None:
        database = Database()
        database.away = {"north"}
        with pytest.raises(StoreUnavailable):
            await Gateway(Network(), database, "north").session_revocation.poll()

    run(scenario())


def test_a_gateway_that_has_lost_the_database_keeps_what_it_knows_and_believes_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        database = Database()
        async with cluster(database) as (north, south):
            await south.session_revocation.end(login("one"))
            database.away = {"south"}
            await asyncio.sleep(60)
            assert "one" in south.ended
            socket = south.connection("two")
            await north.session_revocation.end(login("two"))
            await until(lambda: socket.reason, within=0.1)
            with pytest.raises(StoreUnavailable):
                await south.session_revocation.end(login("three"))
            assert "three" not in south.ended, "it would end here alone"
            database.end(login("four"))
            database.away = set()
            await until(lambda: "four" in south.ended, within=1)

    run(scenario())
    assert caplog.text.count("endings of sessions cannot be polled") == 1


def test_sessions_that_end_after_the_database_was_restored_are_not_missed() -> None:
    async def scenario() -> None:
        database = Database()
        async with cluster(database, Network(away=True)) as (north, south):
            for id in ("one", "two", "three"):
                await north.session_revocation.end(login(id))
            await until(lambda: "three" in south.ended, within=1)
            del database.ended[1:]
            socket = south.connection("four")
            await until(lambda: south.view.looks[-1] == 1, within=2)
            await north.session_revocation.end(login("four"))
            await until(lambda: socket.reason, within=1)
            assert "three" in south.ended

    run(scenario())


def test_sessions_that_are_over_are_deleted_now_and_then() -> None:
    async def scenario() -> None:
        async with cluster(Database()) as (north, _):
            await asyncio.sleep(3 * CLEAN + 10)
            assert len(north.view.cleaned) == 4
            assert len(north.view.looks) > 3 * CLEAN / 0.8

    run(scenario())
