"""Knowing all connections, and ending the right ones."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from broker.timing.tasks import Tasks
from gateway.budget.rank import Rank
from gateway.domain.identity import Identity
from gateway.errors import (
    Draining,
    GatewayError,
    NoCapacity,
    Removed,
    TooManyOfUser,
    TooManyUnknown,
)
from gateway.live.client.registry import ConnectionState, Registry
from tests.budgets import budgets_of

GONE = Removed("gone")
DRAINING = Draining("soon")


class Connection:
    """A connection that runs until it is ended; a deaf one goes on."""

    def __init__(self, *, deaf: bool = False) -> None:
        self.id = f"{id(self):x}"
        self.identity: Identity | None = None
        self.deaf = deaf
        #: How often it was judged by new access rules.
        self.judged = 0
        self.reason: GatewayError | None = None
        self._over = asyncio.Event()

    @property
    def is_open(self) -> bool:
        return self.reason is None

    def end(self, error: GatewayError | None) -> None:
        self.reason = error
        if not self.deaf:
            self._over.set()

    def judge_again(self) -> None:
        self.judged += 1

    async def run(self) -> None:
        await self._over.wait()

    def snapshot(self) -> ConnectionState:
        raise AssertionError("nobody asks here how it stands")


async def settled() -> None:
    """The tasks whose wait is over have run to their end."""
    for _ in range(5):
        await asyncio.sleep(0)


def scenario(test: Callable[[Registry], Awaitable[None]]) -> None:
    async def run() -> None:
        registry = Registry(
            budgets_of(
                connections=3,
                connections_per_user=2,
                unknown_connections=2,
                unknown_connections_per_address=1,
            ),
            tasks=Tasks(),
        )
        try:
            await test(registry)
        finally:
            await registry.close(Draining("the test is over"), within=0.01)
        assert not len(registry)

    asyncio.run(run())


def joined(registry: Registry, user: str, *, deaf: bool = False) -> Connection:
    connection = Connection(deaf=deaf)
    registry.serve(connection, address="here", user=None)
    registry.admit(connection, user)
    return connection


def test_a_connection_is_known_until_it_is_gone() -> None:
    async def test(registry: Registry) -> None:
        connection = joined(registry, "ann")
        assert list(registry) == [connection]
        connection.end(None)
        await settled()
        assert list(registry) == []

    scenario(test)


def test_a_full_gateway_takes_no_more() -> None:
    async def test(registry: Registry) -> None:
        for user in "abc":
            registry.check_capacity(address="here", user=None, rank=Rank.UNKNOWN)
            joined(registry, user)
        with pytest.raises(NoCapacity, match="3 connections"):
            registry.check_capacity(address="here", user=None, rank=Rank.UNKNOWN)

    scenario(test)


def test_those_who_have_not_sent_connect_have_places_of_their_own() -> None:
    async def test(registry: Registry) -> None:
        first, second = Connection(), Connection()
        registry.serve(first, address="here", user=None)
        with pytest.raises(TooManyUnknown, match="from your address"):
            registry.check_capacity(address="here", user=None, rank=Rank.UNKNOWN)
        # Who says in the handshake who it is, and who comes from elsewhere, is not kept out.
        registry.check_capacity(address="here", user="ann", rank=Rank.PARTICIPANT)
        registry.check_capacity(address="there", user=None, rank=Rank.UNKNOWN)
        registry.serve(second, address="there", user=None)
        with pytest.raises(NoCapacity, match="2 connections have not"):
            registry.check_capacity(address="elsewhere", user=None, rank=Rank.UNKNOWN)
        registry.admit(first, "ann")
        registry.check_capacity(address="here", user=None, rank=Rank.UNKNOWN)
        second.end(None)
        await settled()
        registry.check_capacity(address="there", user=None, rank=Rank.UNKNOWN)
        assert not registry._waiting

    scenario(test)


def test_a_connection_belongs_to_the_user_of_the_handshake_until_connect_names_another_one() -> (
    None
):
    async def test(registry: Registry) -> None:
        connection = Connection(deaf=True)
        registry.serve(connection, address="here", user="ann")
        assert registry.count_user("ann") == 1
        registry.admit(connection, "webapp", payer="webapp 1")
        assert registry.end_user("ann", GONE) == 0
        assert registry.end_user("webapp", GONE) == 1
        connection.deaf = False
        connection.end(None)
        await settled()
        assert not registry._by_user

    scenario(test)


def test_a_user_s_sockets_without_connect_count_as_the_user_s() -> None:
    async def test(registry: Registry) -> None:
        for _ in range(2):
            registry.check_capacity(address="here", user="ann", rank=Rank.PARTICIPANT)
            registry.serve(Connection(), address="here", user="ann")
        with pytest.raises(TooManyOfUser, match="2 connections per user"):
            registry.check_capacity(address="here", user="ann", rank=Rank.PARTICIPANT)

    scenario(test)


def test_a_user_has_a_share_of_it_that_is_given_back() -> None:
    async def test(registry: Registry) -> None:
        first = joined(registry, "ann")
        joined(registry, "ann")
        third = Connection()
        registry.serve(third, address="here", user="ann")
        with pytest.raises(TooManyOfUser, match="2 connections"):
            registry.admit(third, "ann")
        first.end(None)
        await settled()
        registry.admit(third, "ann")

    scenario(test)


def test_a_user_s_connections_end_and_are_counted() -> None:
    async def test(registry: Registry) -> None:
        first, second = joined(registry, "ann"), joined(registry, "ann")
        other = joined(registry, "bob")
        assert registry.end_user("ann", GONE) == 2
        assert registry.end_user("nobody", GONE) == 0
        assert [c.reason for c in (first, second, other)] == [GONE, GONE, None]

    scenario(test)


def test_what_is_only_being_closed_has_ended_before() -> None:
    async def test(registry: Registry) -> None:
        closing = joined(registry, "ann", deaf=True)
        closing.end(DRAINING)
        going_on = joined(registry, "ann")
        assert registry.count_user("ann") == 1
        assert registry.end_connection(closing.id, GONE) == 0
        assert registry.end_user("ann", GONE) == 1
        assert (closing.reason, going_on.reason) == (DRAINING, GONE)

    scenario(test)


def test_a_user_of_rabbitmqs_own_ends_by_the_name_that_orders_have() -> None:
    async def test(registry: Registry) -> None:
        connection = joined(registry, "ｋｉｍ")
        assert registry.count_user("kim") == 1
        assert registry.end_user("kim", GONE) == 1
        assert connection.reason is GONE
        await settled()
        assert not registry._by_user

    scenario(test)


def test_one_connection_ends_by_its_id() -> None:
    async def test(registry: Registry) -> None:
        first, second = joined(registry, "ann"), joined(registry, "ann")
        assert registry.end_connection(second.id, GONE) == 1
        assert registry.end_connection("nothing", GONE) == 0
        assert [c.reason for c in (first, second)] == [None, GONE]

    scenario(test)


def test_a_client_that_does_not_leave_in_time_is_cut_off() -> None:
    async def test(registry: Registry) -> None:
        deaf = joined(registry, "ann", deaf=True)
        await registry.close(Draining("bye"), within=0.01)
        assert isinstance(deaf.reason, Draining)
        assert list(registry) == []

    scenario(test)


def test_the_last_places_are_for_those_who_may_be_hosts_and_then_for_hosts() -> None:
    async def run() -> None:
        registry = Registry(budgets_of(connections=20), tasks=Tasks())
        for number in range(18):
            joined(registry, f"pupil {number}")
        with pytest.raises(NoCapacity):
            registry.check_capacity(address="here", user="late", rank=Rank.PARTICIPANT)
        # Somebody unknown may be the teacher.
        registry.check_capacity(address="here", user=None, rank=Rank.UNKNOWN)
        for user, rank in (("late", Rank.PARTICIPANT), ("the teacher", Rank.HOST)):
            connection = Connection()
            registry.serve(connection, address="here", user=None)
            if rank is Rank.HOST:
                registry.admit(connection, user, rank)
                continue
            with pytest.raises(NoCapacity):
                registry.admit(connection, user, rank)
            connection.end(None)
            await settled()
        registry.check_capacity(address="here", user="a second teacher", rank=Rank.HOST)
        await registry.close(Draining("the test is over"), within=0.01)
        assert not registry._places
        assert not registry._waiting

    asyncio.run(run())


def test_new_access_rules_judge_everybody_a_hundred_in_a_turn_of_the_loop() -> None:
    async def run() -> None:
        registry = Registry(budgets_of(connections=1000), tasks=Tasks())
        there = [Connection() for _ in range(250)]
        for connection in there:
            registry.serve(connection, address="", user="mina")
        registry.rules_changed()
        gone = there.pop()
        gone.end(GONE)
        await asyncio.sleep(0)
        assert sum(each.judged for each in there) == 100
        await settled()
        assert {each.judged for each in there} == {1}
        await registry.close(Draining("the test is over"), within=0.01)

    asyncio.run(run())
