"""Access ends on every gateway: by a hint at once, and without one within a second."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from broker.timing.tasks import Tasks
from gateway.auth.access import AccessRules
from gateway.auth.memberships import Memberships
from gateway.auth.permissions import Action, Permissions
from gateway.cluster.revocation import Revocation
from gateway.domain.identity import Identity
from gateway.domain.room import MemberRole, Roster
from gateway.errors import GatewayError, Removed, RoomClosed, StoreUnavailable
from gateway.live.attendance import Attendance, Right
from tests.unit.cluster.bus_network import Network
from tests.virtual_time import run

PUBLIC, QUEUE = Action.SUBSCRIBE_PUBLIC, Action.CONSUME_PRIVATE
HOST, PARTICIPANT = MemberRole.HOST, MemberRole.PARTICIPANT


@dataclass
class Database:
    """Rooms by number. ``away``: for these gateways it does not answer."""

    rooms: dict[int, Roster] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    latency: float = 0.005

    def put(self, room: int, *, is_open: bool = True, **roles: MemberRole) -> None:
        before = self.rooms.get(room)
        self.rooms[room] = Roster(is_open, roles, before.revision + 1 if before else 0)


class View:
    """The database as one gateway reaches it."""

    def __init__(self, database: Database, gateway: str) -> None:
        self._database = database
        self._gateway = gateway
        self.looks = 0
        self.rosters = 0

    async def revisions(self, numbers: Sequence[int]) -> dict[int, int]:
        self.looks += 1
        found = {n: r.revision for n, r in self._database.rooms.items() if n in numbers}
        await self._answer()
        return found

    async def roster(self, room: int) -> Roster | None:
        self.rosters += 1
        found = self._database.rooms.get(room)
        await self._answer()
        return found

    async def _answer(self) -> None:
        await asyncio.sleep(self._database.latency)
        if self._gateway in self._database.away:
            raise StoreUnavailable("the database is away")


class Follower:
    """A follower of a room that records its end."""

    def __init__(self, attendance: Attendance, user: str, *roles: str) -> None:
        self.identity = Identity(user, frozenset(roles), math.inf)
        self.ended: GatewayError | None = None
        self._attendance = attendance
        self._rights: list[Right] = []

    def follow(self, room: int, action: Action = PUBLIC) -> "Follower":
        right = Right(action, room, MemberRole.PARTICIPANT)
        self._attendance.begin(self, right)
        self._rights.append(right)
        return self

    def end(self, error: GatewayError | None) -> None:
        if self.ended is None:
            self.ended = error
            for right in self._rights:
                self._attendance.end(self, right)


class Gateway:
    """A gateway's memberships, followers and revocation."""

    def __init__(self, network: Network, database: Database, name: str) -> None:
        self.bus = network.bus(name)
        self.attendance = Attendance()
        self.view = View(database, name)
        clock = asyncio.get_running_loop().time
        self.memberships = Memberships(self.view, clock=clock)
        permissions = Permissions(self.memberships, AccessRules([]))
        self.revocation = Revocation(
            self.view, self.memberships, permissions, self.attendance, self.bus, tasks=Tasks()
        )

    def user(self, name: str, *roles: str) -> Follower:
        return Follower(self.attendance, name, *roles)


@asynccontextmanager
async def cluster(
    database: Database, network: Network | None = None
) -> AsyncIterator[tuple[Gateway, Gateway]]:
    network = network or Network()
    made = [Gateway(network, database, name) for name in ("north", "south")]
    for gateway in made:
        gateway.bus.start()
        gateway.revocation.start()
    await asyncio.sleep(2)
    yield made[0], made[1]
    for gateway in made:
        await gateway.revocation.close()
        await gateway.bus.close()


async def until(happened: Callable[[], object], *, within: float) -> float:
    """Seconds until then."""
    now = asyncio.get_running_loop().time
    began = now()
    async with asyncio.timeout(within):
        while not happened():  # noqa: ASYNC110 - the time is the test's own
            await asyncio.sleep(0.01)
    return now() - began


def test_a_removed_member_is_ended_on_all_gateways_at_once() -> None:
    async def scenario() -> None:
        database = Database()
        database.put(1, hana=HOST, paul=PARTICIPANT)
        async with cluster(database) as (north, south):
            here, there = north.user("paul").follow(1), south.user("paul").follow(1)
            hana = south.user("hana").follow(1)
            await asyncio.sleep(2)
            database.put(1, hana=HOST)
            await north.revocation.changed(1, "paul", ended=True)
            assert isinstance(here.ended, Removed)
            assert await until(lambda: there.ended, within=1) < 0.1
            assert isinstance(there.ended, Removed)
            assert hana.ended is None

    run(scenario())


@pytest.mark.parametrize("moment", [n / 10 for n in range(10)])
def test_without_any_message_a_removed_member_is_ended_within_a_second(moment: float) -> None:
    async def scenario() -> None:
        database, network = Database(), Network(away=True)
        database.put(1, hana=HOST, paul=PARTICIPANT)
        async with cluster(database, network) as (north, south):
            there = south.user("paul").follow(1)
            await asyncio.sleep(2 + moment)
            database.put(1, hana=HOST)
            await north.revocation.changed(1, "paul", ended=True)
            assert await until(lambda: there.ended, within=2) < 1

    run(scenario())


@pytest.mark.parametrize("moment", [n / 10 for n in range(7)])
@pytest.mark.parametrize("delay", [n / 10 for n in range(10)])
def test_nobody_comes_in_by_what_was_remembered_from_before_and_stays(
    moment: float, delay: float
) -> None:
    async def scenario() -> None:
        database, network = Database(), Network(away=True)
        database.put(1, hana=HOST, paul=PARTICIPANT)
        async with cluster(database, network) as (_, south):
            south.user("hana").follow(1)
            await asyncio.sleep(2 + moment)
            assert await south.memberships.membership(1, "paul") is not None
            database.put(1, hana=HOST)
            removed_at = asyncio.get_running_loop().time()
            await asyncio.sleep(delay)
            membership = await south.memberships.membership(1, "paul")
            if membership is not None and membership.role is not None:
                paul = south.user("paul").follow(1)
                await until(lambda: paul.ended, within=2)
                assert asyncio.get_running_loop().time() - removed_at < 1

    run(scenario())


def test_a_room_in_which_much_is_said_is_not_read_beside_the_poll() -> None:
    async def scenario() -> None:
        database, network = Database(), Network(away=True)
        database.put(1, hana=HOST, paul=PARTICIPANT)
        async with cluster(database, network) as (_, south):
            south.user("hana").follow(1)
            await asyncio.sleep(2)
            read = south.view.rosters
            for _ in range(50):
                await asyncio.sleep(0.1)
                assert await south.memberships.membership(1, "paul")
            assert south.view.rosters - read <= 1
            database.put(1, hana=HOST)
            removed_at = asyncio.get_running_loop().time()
            for _ in range(100):
                found = await south.memberships.membership(1, "paul")
                if found is None or found.role is None:
                    break
                await asyncio.sleep(0.01)
            assert asyncio.get_running_loop().time() - removed_at < 1

    run(scenario())


def test_a_former_host_loses_what_is_the_hosts_and_nothing_else() -> None:
    async def scenario() -> None:
        database = Database()
        database.put(1, hana=HOST, hugo=HOST)
        async with cluster(database) as (north, south):
            queue, topic = south.user("hugo").follow(1, QUEUE), south.user("hugo").follow(1)
            database.put(1, hana=HOST, hugo=PARTICIPANT)
            await north.revocation.changed(1, "hugo", ended=True)
            await until(lambda: queue.ended, within=1)
            assert "no longer a host" in str(queue.ended)
            assert topic.ended is None

    run(scenario())


def test_another_role_of_somebody_who_is_there_is_noticed_on_all_gateways() -> None:
    async def scenario() -> None:
        database = Database()
        database.put(1, hana=HOST, paul=PARTICIPANT)
        async with cluster(database) as (north, south):
            paul = south.user("paul").follow(1)
            noticed: list[tuple[int, str, MemberRole | None]] = []
            south.attendance.observe(lambda *what: noticed.append(what))
            database.put(1, hana=HOST, paul=HOST)
            await north.revocation.changed(1, "paul", ended=False)
            await until(lambda: noticed, within=1.5)
            await asyncio.sleep(2)
            assert noticed == [(1, "paul", HOST)]
            assert paul.ended is None

    run(scenario())


def test_a_closed_room_ends_for_everybody_an_admin_included() -> None:
    async def scenario() -> None:
        database = Database()
        database.put(1, hana=HOST)
        async with cluster(database) as (north, south):
            admin, hana = south.user("olga", "admin").follow(1), south.user("hana").follow(1)
            await asyncio.sleep(2)
            assert admin.ended is None
            database.put(1, is_open=False, hana=HOST)
            await north.revocation.changed(1, ended=True)
            await until(lambda: admin.ended and hana.ended, within=1)
            assert isinstance(admin.ended, RoomClosed)
            assert isinstance(hana.ended, RoomClosed)

    run(scenario())


def test_a_room_that_is_gone_ends_for_everybody() -> None:
    async def scenario() -> None:
        database = Database()
        database.put(1, hana=HOST)
        async with cluster(database) as (_, south):
            hana = south.user("hana").follow(1)
            await asyncio.sleep(2)
            del database.rooms[1]
            await until(lambda: hana.ended, within=1)

    run(scenario())


def test_a_new_member_is_known_to_all_gateways_at_once() -> None:
    async def scenario() -> None:
        database = Database()
        database.put(1, hana=HOST)
        async with cluster(database) as (north, south):
            south.user("hana").follow(1)
            unknown = await south.memberships.membership(1, "paul")
            assert unknown is not None
            assert unknown.role is None
            database.put(1, hana=HOST, paul=PARTICIPANT)
            await north.revocation.changed(1, "paul", ended=False)
            await asyncio.sleep(0.1)
            known = await south.memberships.membership(1, "paul")
            assert known is not None
            assert known.role is PARTICIPANT

    run(scenario())


def test_a_new_member_of_a_room_without_followers_is_known_by_a_hint_of_another_gateway() -> None:
    async def scenario() -> None:
        database = Database()
        database.put(1, hana=HOST)
        async with cluster(database) as (north, south):
            unknown = await south.memberships.membership(1, "paul")
            database.put(1, hana=HOST, paul=PARTICIPANT)
            await north.revocation.changed(1, "paul", ended=False)
            await asyncio.sleep(0.1)
            known = await south.memberships.membership(1, "paul")
            assert unknown is not None
            assert known is not None
            assert (unknown.role, known.role) == (None, PARTICIPANT)
            assert south.view.looks == 0, "no look has found it"

    run(scenario())


@pytest.mark.parametrize("user", ["paul", None])
def test_a_change_that_ends_nothing_ends_nobody_where_the_database_is_away(
    user: str | None,
) -> None:
    async def scenario() -> None:
        database = Database()
        database.put(1, hana=HOST, paul=PARTICIPANT)
        async with cluster(database) as (north, south):
            here, there = north.user("paul").follow(1), south.user("paul").follow(1)
            await asyncio.sleep(2)
            rosters = south.view.rosters
            database.away = {"north", "south"}
            await north.revocation.changed(1, user, ended=False)
            await asyncio.sleep(5)
            assert here.ended is None
            assert there.ended is None
            assert south.view.rosters == rosters, "only a look would find something"

    run(scenario())


def test_after_a_change_nobody_here_is_judged_by_what_was_known_before() -> None:
    async def scenario() -> None:
        database, network = Database(), Network(away=True)
        database.put(1, hana=HOST)
        async with cluster(database, network) as (north, _):
            unknown = await north.memberships.membership(1, "paul")
            assert unknown is not None
            assert unknown.role is None
            database.put(1, hana=HOST, paul=PARTICIPANT)
            await north.revocation.changed(1, "paul", ended=False)
            known = await north.memberships.membership(1, "paul")
            assert known is not None
            assert known.role is PARTICIPANT

    run(scenario())


def test_while_the_database_is_away_what_is_live_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        database = Database()
        database.put(1, hana=HOST)
        async with cluster(database) as (north, south):
            hana = south.user("hana").follow(1)
            database.away = {"north", "south"}
            await asyncio.sleep(60)
            assert hana.ended is None
            database.away = set()
            database.put(1)
            await until(lambda: hana.ended, within=1)
            assert north.view.looks == 0, "nobody follows anything there"

    run(scenario())
    assert caplog.text.count("memberships cannot be polled") == 1


@pytest.mark.parametrize("user", ["paul", None])
def test_a_gateway_that_alone_has_lost_the_database_believes_the_other_one(
    user: str | None,
) -> None:
    async def scenario() -> None:
        database = Database()
        database.put(1, hana=HOST, paul=PARTICIPANT)
        async with cluster(database) as (north, south):
            hana, paul = south.user("hana").follow(1), south.user("paul").follow(1)
            await asyncio.sleep(2)
            database.away = {"south"}
            await north.revocation.changed(1, user, ended=True)
            await until(lambda: paul.ended, within=1)
            assert isinstance(hana.ended, RoomClosed if user is None else type(None))

    run(scenario())


def test_a_room_where_nothing_changes_costs_one_number() -> None:
    async def scenario() -> None:
        database = Database()
        for room in range(1, 2501):
            database.put(room, hana=HOST)
        async with cluster(database) as (_, south):
            for room in database.rooms:
                south.user("hana").follow(room)
            await asyncio.sleep(7)
            read = south.view.rosters
            looks = south.view.looks
            await asyncio.sleep(7)
            assert south.view.rosters == read == 2500
            assert 3 * 8 <= south.view.looks - looks <= 3 * 10

    run(scenario())


def test_more_hints_than_can_be_followed_are_left_to_the_next_look() -> None:
    async def scenario() -> None:
        database = Database(latency=0.2)
        for room in range(1, 101):
            database.put(room, hana=HOST, paul=PARTICIPANT)
        async with cluster(database) as (north, south):
            pauls = [south.user("paul").follow(room) for room in database.rooms]
            await asyncio.sleep(10)
            for room in database.rooms:
                database.put(room, hana=HOST)
                north.bus.tell("membership", {"room": room, "user": "paul", "ended": True})
            await until(lambda: all(paul.ended for paul in pauls), within=20)

    run(scenario())


def test_one_whose_end_fails_keeps_nobody_else_in_the_room_nor_in_another(
    failures: list[str],
) -> None:
    class Broken(Follower):
        """A follower that cannot be ended."""

        def end(self, error: GatewayError | None) -> None:
            raise KeyError

    async def scenario() -> None:
        database, network = Database(), Network(away=True)
        for room in (1, 2):
            database.put(room, hana=HOST, paul=PARTICIPANT)
        async with cluster(database, network) as (_, south):
            broken = Broken(south.attendance, "paul").follow(1)
            others = [south.user("paul").follow(room) for room in (1, 1, 2)]
            await asyncio.sleep(2)
            for room in (1, 2):
                database.put(room, hana=HOST)
            assert await until(lambda: all(each.ended for each in others), within=2) < 1
            # It is judged again and again.
            broken.__class__ = Follower
            assert await until(lambda: broken.ended, within=2) < 1

    run(scenario())
    assert failures == ["membership revocation: a follower has failed"]
    failures.clear()


def test_a_room_that_cannot_be_judged_keeps_nobody_in_another(
    failures: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        database, network = Database(), Network(away=True)
        for room in (1, 2):
            database.put(room, hana=HOST, paul=PARTICIPANT)
        async with cluster(database, network) as (_, south):
            first, second = (south.user("paul").follow(room) for room in (1, 2))
            await asyncio.sleep(2)
            roster = south.memberships.roster

            async def read(room: int) -> Any:
                if room == 1:
                    raise KeyError
                return await roster(room)

            monkeypatch.setattr(south.memberships, "roster", read)
            for room in (1, 2):
                database.put(room, hana=HOST)
            assert await until(lambda: second.ended, within=2) < 1
            assert first.ended is None
            monkeypatch.undo()
            assert await until(lambda: first.ended, within=2) < 1

    run(scenario())
    assert failures == ["membership revocation: a room has failed"]
    failures.clear()
