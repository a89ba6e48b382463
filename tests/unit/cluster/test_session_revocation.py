"""Sessions end on every gateway: by a word at once, and without one within a second."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from broker.timing.tasks import Tasks
from gateway.auth.ended import EndedSessions
from gateway.auth.revocations import Revocations
from gateway.cluster.session_revocation import SessionRevocation
from gateway.domain.broker_login import BrokerLogin
from gateway.domain.identity import Identity
from gateway.domain.revocation import Revocation, Target, TokenMark
from gateway.domain.session import EndedSession, Endings, LoginSession, Proof
from gateway.errors import GatewayError, KeptOut, Kicked, SessionEnded, StoreUnavailable
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
        self.entries: list[Revocation] = []
        self.newest = 0
        self.away: set[str] = set()

    def end(self, session: LoginSession) -> EndedSession:
        self.newest += 1
        self.ended.append(EndedSession(session.id, session.until, self.newest))
        return self.ended[-1]

    def revoke(self, entry: Revocation) -> Endings:
        self.newest += 1
        self.entries.append(replace(entry, revision=self.newest))
        return Endings(self.newest, [], self.entries[-1:])


class View:
    """The database as one gateway reaches it."""

    def __init__(self, database: Database, gateway: str) -> None:
        self._database = database
        self._gateway = gateway
        self.looks: list[int] = []

    async def end_guests(
        self, room: int, at: datetime, reason: str, *, remove: bool
    ) -> list[EndedSession]:
        raise NotImplementedError

    async def end_session(self, session: LoginSession) -> EndedSession:
        await self._answer()
        return self._database.end(session)

    async def end_own_sessions(
        self, user: str, proof: Proof, *, only: str | None, but: str | None
    ) -> list[EndedSession]:
        await self._answer()
        return [self._database.end(login(only))] if only else []

    async def revoke(self, revocation: Revocation) -> Endings:
        await self._answer()
        return self._database.revoke(revocation)

    async def admit(self, target: Target, value: str) -> bool:
        await self._answer()
        (entry,) = [e for e in self._database.entries if (e.target, e.value) == (target, value)]
        self._database.entries.remove(entry)
        self._database.revoke(replace(entry, kept_out_until=None))
        return True

    async def revocations(self) -> list[Revocation]:
        await self._answer()
        return list(self._database.entries)

    async def sessions_ended_since(self, revision: int) -> Endings:
        await self._answer()
        self.looks.append(revision)
        database = self._database
        return Endings(
            database.newest,
            [each for each in database.ended if each.revision > revision],
            [each for each in database.entries if each.revision > revision],
        )

    async def _answer(self) -> None:
        await asyncio.sleep(0.005)
        if self._gateway in self._database.away:
            raise StoreUnavailable("the database is away")


class Connection:
    """A client's connection that records its end."""

    def __init__(
        self,
        session: str | None,
        *,
        known: bool = True,
        user: str = "paul",
        token: TokenMark | None = None,
    ) -> None:
        who = Identity(user, frozenset(), math.inf, session, token=token)
        self.identity = who if known else None
        self.reason: GatewayError | None = None

    def end(self, error: GatewayError | None) -> None:
        self.reason = error


class Gateway:
    """A gateway's connections and its revocation of sessions."""

    def __init__(self, network: Network, database: Database, name: str) -> None:
        self.bus = network.bus(name)
        self.view = View(database, name)
        loop = asyncio.get_running_loop()
        clock = lambda: START.timestamp() + loop.time()  # noqa: E731
        self.ended = EndedSessions(clock=clock)
        self.revocations = Revocations(self.ended, clock=clock)
        self.connections: list[Connection] = []
        self.dashboards = [Connection("one"), Connection("two")]
        self.session_revocation = SessionRevocation(
            self.view,
            self.ended,
            self.revocations,
            self.connections,
            self.bus,
            tasks=Tasks(),
        )
        self.session_revocation.end_too(self.dashboards)

    def revocations_of(self, identity: Identity | None) -> GatewayError | None:
        """The error for somebody, if their access has ended."""
        assert identity is not None
        try:
            self.revocations.check(identity)
        except GatewayError as error:
            return error
        return None

    def connection(
        self,
        session: str | None,
        *,
        known: bool = True,
        user: str = "paul",
        token: TokenMark | None = None,
    ) -> Connection:
        self.connections.append(Connection(session, known=known, user=user, token=token))
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
            for gateway in (north, south):
                ended = [each.reason is not None for each in gateway.dashboards]
                assert ended == [True, False], "dashboards, too"
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
            database.newest = 1
            socket = south.connection("four")
            await until(lambda: south.view.looks[-1] == 1, within=2)
            await north.session_revocation.end(login("four"))
            await until(lambda: socket.reason, within=1)
            assert "three" in south.ended

    run(scenario())


NOW = START + timedelta(seconds=10)


def order(
    value: str = "paul", target: Target = Target.USER, *, hours: float | None = None, why: str = ""
) -> Revocation:
    kept_out = None if hours is None else NOW + timedelta(hours=hours)
    until = NOW + timedelta(days=1)
    return Revocation(
        target=target, value=value, since=NOW, until=until, kept_out_until=kept_out, reason=why
    )


def login_at_rabbitmq(user: str) -> BrokerLogin:
    return BrokerLogin(user, "secret", vhost="/", mark=b"", payer=user)


def token(id: str = "t1", *, subject: str = "s1", at: datetime = START) -> TokenMark:
    return TokenMark(id, subject, at.timestamp())


@pytest.mark.parametrize("moment", [0.0, 0.35, 0.65])
def test_an_order_ends_what_a_user_has_open_without_a_word_within_a_second(moment: float) -> None:
    async def scenario() -> None:
        database = Database()
        async with cluster(database, Network(away=True)) as (north, south):
            await asyncio.sleep(7.5 + moment)
            for gateway in (north, south):
                gateway.dashboards.clear()
            by_token = [each.connection(None, token=token()) for each in (north, south)]
            by_hook = [each.connection(None) for each in (north, south)]
            spared = [
                south.connection(None, user="mina", token=token("t2", subject="s2")),
                south.connection(None, token=token(at=NOW + timedelta(seconds=1))),
                south.connection("one"),
            ]
            database.revoke(order(why="too loud"))
            ended = [*by_token, *by_hook]
            assert await until(lambda: all(each.reason for each in ended), within=2) < 1
            for each in ended:
                assert isinstance(each.reason, Kicked)
                assert each.reason.detail == "an admin has ended this connection: too loud"
            assert not any(each.reason for each in spared)
            who = Identity("paul", frozenset(), math.inf)
            assert south.revocations_of(who) is None, "nobody is kept out"
            refused = south.revocations_of(replace(who, token=token("t9", subject="s9")))
            assert isinstance(refused, SessionEnded)
            assert "too loud" in refused.detail

    run(scenario())


@pytest.mark.parametrize("way", ["time", "admin"])
def test_who_is_kept_out_comes_in_again_when_it_is_over_or_an_admin_says_so(way: str) -> None:
    async def scenario() -> None:
        database = Database()
        async with cluster(database, Network(away=True)) as (north, south):
            new = Identity("paul", frozenset(), math.inf, "new")
            database.revoke(order(hours=1, why="until ten"))
            socket = south.connection("new")
            await until(lambda: socket.reason, within=1)
            assert isinstance(socket.reason, KeptOut)
            assert "until ten" in socket.reason.detail
            refused = south.revocations_of(new)
            assert isinstance(refused, KeptOut)
            assert refused.retry_after
            assert 3600 < refused.retry_after < 3620
            if way == "time":
                await asyncio.sleep(refused.retry_after - 0.1)
                assert isinstance(south.revocations_of(new), KeptOut)
                await asyncio.sleep(0.2)
            else:
                again = south.connection(None)
                assert await north.session_revocation.admit(Target.USER, "paul")
                assert north.revocations_of(new) is None, "here at once"
                await until(lambda: not south.revocations_of(new), within=1)
                assert again.reason is None, "letting in ends nothing"
            assert south.revocations_of(new) is None

    run(scenario())


@pytest.mark.parametrize(
    ("entry", "ended"),
    [
        (order("t1", Target.TOKEN), {"first", "late"}),
        (order("s1", Target.SUBJECT), {"first", "other"}),
        (order("s1", Target.SUBJECT, hours=1), {"first", "other", "late"}),
        (order("t9", Target.TOKEN), set()),
        (order("t1", Target.SUBJECT), set()),
        (order("s1"), set()),
    ],
)
def test_a_token_is_revoked_by_its_id_or_its_subject(entry: Revocation, ended: set[str]) -> None:
    async def scenario() -> None:
        database = Database()
        async with cluster(database, Network(away=True)) as (_, south):
            late = NOW + timedelta(seconds=1)
            sockets = {
                "first": south.connection(None, token=token()),
                "other": south.connection(None, token=token("t2")),
                "late": south.connection(None, token=token(at=late)),
                "another": south.connection(None, user="mina", token=token("t3", subject="s3")),
                "none": south.connection(None),
            }
            database.revoke(entry)
            database.end(login("sentinel"))
            await until(lambda: "sentinel" in south.ended, within=1)
            assert {name for name, each in sockets.items() if each.reason} == ended
            starting = Gateway(Network(), database, "third")
            await starting.session_revocation.poll()
            refused = {n for n, each in sockets.items() if starting.revocations_of(each.identity)}
            assert refused == ended, "a gateway that was down learns it at its start"

    run(scenario())


def test_an_order_ends_the_connections_of_rabbitmqs_own_users_in_whatever_form_they_are() -> None:
    async def scenario() -> None:
        database = Database()
        async with cluster(database, Network(away=True)) as (_, south):
            kim, lee = (south.connection(None, user=user) for user in ("ｋｉｍ", "lee"))
            for each in (kim, lee):
                assert each.identity is not None
                each.identity = replace(each.identity, login=login_at_rabbitmq(each.identity.user))
            database.revoke(order("kim"))
            await until(lambda: kim.reason is not None, within=1)
            assert isinstance(kim.reason, Kicked)
            assert lee.reason is None

    run(scenario())
