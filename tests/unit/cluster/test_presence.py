"""Presence over several gateways: announcements in the rooms, and the list."""

import asyncio
import json
import math
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from broker.publishing.publication import NotConfirmed, Publication
from broker.timing.tasks import Tasks
from broker.topology import Topology
from gateway.auth.permissions import Action
from gateway.cluster.presence import GRACE, HOLD, TICK, Presence
from gateway.domain.identity import Identity
from gateway.domain.room import MemberRole, Roster
from gateway.drain import leaving
from gateway.errors import GatewayError
from gateway.live.attendance import Attendance, Right
from gateway.live.client.farewell import SPREAD
from tests.unit.cluster.bus_network import Network
from tests.virtual_time import run

GUEST, HOST = MemberRole.PARTICIPANT, MemberRole.HOST
#: Seconds until everybody knows, and everything is said.
SOON = 4 * TICK


class School:
    """The room's members, and what is heard in it: each message id once."""

    def __init__(self, **roles: MemberRole) -> None:
        self.announced = True
        self.roles = roles
        self.away = False
        self.heard: dict[str, dict[str, Any]] = {}

    async def roster(self, room: int) -> Roster | None:
        return Roster(is_open=True, roles=self.roles) if room == 1 else None

    async def publish(self, publication: Publication, _: float) -> None:
        await asyncio.sleep(0.01)
        if self.away:
            raise NotConfirmed("the broker is away")
        assert publication.routing_key == "t.public.1"
        assert not publication.persistent
        self.heard.setdefault(publication.message_id, json.loads(publication.body))

    @property
    def said(self) -> list[tuple[str, str]]:
        """The announcements since the last call."""
        events = [event for message in self.heard.values() for event in message["body"]["events"]]
        self.heard.clear()
        return [(event["user"], event["event"]) for event in events]


class Tab:
    """Somebody's subscription of the room's public topic."""

    def __init__(
        self,
        gateway: "Gateway",
        user: str,
        role: MemberRole | None = GUEST,
        *,
        shown: str | None = None,
    ) -> None:
        self.identity = Identity(user, frozenset(), math.inf, display_name=shown)
        self._attendance = gateway.attendance
        self._right = Right(Action.SUBSCRIBE_PUBLIC, 1, role)
        self._attendance.begin(self, self._right)

    def close(self) -> None:
        self._attendance.end(self, self._right)

    def end(self, error: GatewayError | None) -> None:
        raise AssertionError(error)


class Gateway:
    """A gateway's bus and presence."""

    def __init__(self, network: Network, school: School, name: str) -> None:
        self.network = network
        self.bus = network.bus(name)
        self.attendance = Attendance()
        self.presence = Presence(
            self.attendance,
            school,
            self.bus,
            school,
            Topology("t"),
            announced=school.announced,
            clock=asyncio.get_running_loop().time,
            tasks=Tasks(),
        )
        self.bus.start()
        self.presence.start()

    async def present(self) -> dict[str, MemberRole]:
        return {attendee.user: attendee.role for attendee in await self.presence.of(1)}

    async def kill(self) -> None:
        """It says nothing any more, not even goodbye."""
        self.network.buses.remove(self.bus)
        self.bus.tell = lambda kind, payload: None  # type: ignore[method-assign]
        await self.presence.close()
        await self.bus._tasks.close()

    async def stop(self) -> None:
        await self.presence.close()
        await self.bus.close()
        if self.bus in self.network.buses:
            self.network.buses.remove(self.bus)


@asynccontextmanager
async def cluster(
    school: School, *names: str, network: Network | None = None
) -> AsyncIterator[list[Gateway]]:
    network = network or Network()
    made = [Gateway(network, school, name) for name in names]
    await asyncio.sleep(10)
    try:
        yield made
    finally:
        for gateway in made:
            await gateway.stop()


def test_three_tabs_on_two_gateways_come_once_and_leave_once() -> None:
    async def scenario() -> None:
        school = School(hana=HOST, paul=GUEST)
        async with cluster(school, "north", "south") as (north, south):
            Tab(south, "hana", HOST)
            tabs = [Tab(north, "paul"), Tab(north, "paul"), Tab(south, "paul")]
            await asyncio.sleep(SOON)
            assert sorted(school.said) == [("hana", "join"), ("paul", "join")]
            for gateway in (north, south):
                assert await gateway.present() == {"hana": HOST, "paul": GUEST}
            for tab in tabs[:2]:
                tab.close()
            await asyncio.sleep(GRACE + SOON)
            assert school.said == []
            assert "paul" in await north.present()
            tabs[2].close()
            await asyncio.sleep(GRACE + SOON)
            assert school.said == [("paul", "leave")]
            for gateway in (north, south):
                assert await gateway.present() == {"hana": HOST}

    run(scenario())


def test_what_a_token_shows_beside_a_name_is_told_everywhere() -> None:
    async def scenario() -> None:
        school = School(hana=HOST, paul=GUEST)
        async with cluster(school, "north", "south") as (north, south):
            Tab(south, "hana", HOST)
            Tab(north, "paul", shown="Paul Kim")
            await asyncio.sleep(SOON)
            told = {
                event["user"]: event.get("name")
                for message in school.heard.values()
                for event in message["body"]["events"]
            }
            assert told == {"hana": None, "paul": "Paul Kim"}
            for gateway in (north, south):
                assert [each.name for each in await gateway.presence.of(1)] == [None, "Paul Kim"]

    run(scenario())


def test_a_reload_of_the_page_is_not_noticed_not_even_by_another_gateway() -> None:
    async def scenario() -> None:
        school = School(hana=HOST, paul=GUEST)
        async with cluster(school, "north", "south") as (north, south):
            Tab(south, "hana", HOST)
            tab = Tab(north, "paul")
            await asyncio.sleep(SOON)
            (before,) = [each for each in await south.presence.of(1) if each.user == "paul"]
            assert school.said
            for gateway in (north, south, north):
                tab.close()
                await asyncio.sleep(GRACE - SOON)
                tab = Tab(gateway, "paul")
                await asyncio.sleep(GRACE + SOON)
            assert school.said == []
            (after,) = [each for each in await north.presence.of(1) if each.user == "paul"]
            assert after.role is before.role

    run(scenario())


def test_an_admin_is_told_who_becomes_what_and_by_whom() -> None:
    async def scenario() -> None:
        school = School(hana=HOST)
        async with cluster(school, "north") as (north,):
            Tab(north, "hana", HOST)
            await asyncio.sleep(SOON)
            (message,) = school.heard.values()
            assert message["type"] == "presence"
            assert message["sender"] == ""
            assert message["seq"] is None
            assert message["body"] == {
                "events": [{"user": "hana", "event": "join", "role": "host"}]
            }

    run(scenario())


def test_a_class_that_comes_in_at_once_is_told_in_few_messages() -> None:
    async def scenario() -> None:
        users = {f"user {n}": GUEST for n in range(500)}
        school = School(**users)
        async with cluster(school, "north", "south") as gateways:
            for n, user in enumerate(users):
                Tab(gateways[n % 2], user)
            await asyncio.sleep(SOON)
            assert len(school.heard) <= 8
            assert sorted(school.said) == sorted((user, "join") for user in users)
            for gateway in gateways:
                assert set(await gateway.present()) == set(users)

    run(scenario())


def test_after_a_gateways_death_its_users_leave_once_within_thirty_seconds() -> None:
    async def scenario() -> None:
        school = School(hana=HOST, paul=GUEST, nina=GUEST)
        async with cluster(school, "north", "south", "east") as (north, south, east):
            Tab(south, "hana", HOST)
            Tab(east, "hana", HOST)
            Tab(north, "paul")
            Tab(north, "nina")
            await asyncio.sleep(SOON)
            assert school.said
            await north.kill()
            await asyncio.sleep(5)
            Tab(east, "nina")
            await asyncio.sleep(25)
            assert school.said == [("paul", "leave")]
            for gateway in (south, east):
                assert set(await gateway.present()) == {"hana", "nina"}

    run(scenario())


def test_a_gateway_that_leaves_in_good_order_leaves_its_users_time_to_come_back() -> None:
    async def scenario() -> None:
        school = School(hana=HOST, paul=GUEST)
        async with cluster(school, "north", "south") as (north, south):
            Tab(south, "hana", HOST)
            Tab(north, "paul").close()
            await asyncio.sleep(SOON)
            assert school.said
            await north.stop()
            await asyncio.sleep(HOLD - 1)
            Tab(south, "paul")
            await asyncio.sleep(30)
            assert school.said == []

    run(scenario())


def test_a_client_sent_away_by_a_draining_gateway_is_back_in_time() -> None:
    """The ERROR frame says when to come back; the browser library adds up to two seconds."""
    latest = (leaving().retry_after or 0.0) + SPREAD[1] + 2.0
    assert latest < min(GRACE, HOLD)


@pytest.mark.parametrize("name", ["south", "west", "east"])
@pytest.mark.parametrize("after", [0.0, 6.0])
def test_a_gateway_that_starts_later_knows_who_is_there_and_says_nothing_of_it(
    name: str, after: float
) -> None:
    async def scenario() -> None:
        school = School(**{f"user {n}": GUEST for n in range(250)}, nina=GUEST)
        async with cluster(school, "north") as (north,):
            for n in range(250):
                Tab(north, f"user {n}")
            await asyncio.sleep(SOON)
            assert school.said
            south = Gateway(north.network, school, name)
            await asyncio.sleep(after)
            Tab(south, "nina")
            await asyncio.sleep(10)
            assert await south.present() == await north.present() == school.roles
            assert school.said == [("nina", "join")]
            await south.stop()

    run(scenario())


def test_messages_that_are_lost_are_made_up_for() -> None:
    async def scenario() -> None:
        school = School(**{f"user {n}": GUEST for n in range(300)})
        rng = random.Random(7)  # noqa: S311 - no secret
        network = Network(loses=lambda: rng.random() < 0.4)
        async with cluster(school, "north", "south", "east", network=network) as gateways:
            tabs = {}
            for n, user in enumerate(school.roles):
                tabs[user] = Tab(gateways[n % 3], user)
                await asyncio.sleep(rng.random() * 0.2)
            for n in range(0, 300, 2):
                tabs.pop(f"user {n}").close()
                await asyncio.sleep(rng.random() * 0.2)
            network.loses = bool
            await asyncio.sleep(30)
            for gateway in gateways:
                assert set(await gateway.present()) == set(tabs)

    run(scenario())


def test_while_the_broker_is_away_everybody_stays() -> None:
    async def scenario() -> None:
        school, network = School(hana=HOST, paul=GUEST, nina=GUEST), Network()
        async with cluster(school, "north", "south", network=network) as (north, south):
            Tab(south, "hana", HOST)
            Tab(north, "paul")
            await asyncio.sleep(SOON)
            assert school.said
            network.away = school.away = True
            await asyncio.sleep(30)
            Tab(north, "nina")
            await asyncio.sleep(30)
            assert set(await south.present()) == {"hana", "paul"}
            network.away = school.away = False
            await asyncio.sleep(10)
            assert set(await south.present()) == {"hana", "paul", "nina"}
            assert ("paul", "leave") not in school.said

    run(scenario())


def test_only_members_are_in_the_list_in_the_role_that_they_have_now() -> None:
    async def scenario() -> None:
        school = School(hana=HOST, paul=GUEST)
        async with cluster(school, "north") as (north,):
            Tab(north, "hana", HOST)
            Tab(north, "paul")
            Tab(north, "olga", None)
            assert await north.present() == {"hana": HOST, "paul": GUEST}
            school.roles = {"paul": HOST}
            assert await north.present() == {"paul": HOST}
            assert await north.presence.of(2) == []

    run(scenario())


def test_presence_that_is_not_announced_is_listed_all_the_same() -> None:
    async def scenario() -> None:
        school = School(hana=HOST)
        school.announced = False
        async with cluster(school, "north", "south") as (north, south):
            Tab(south, "hana", HOST)
            await asyncio.sleep(SOON)
            assert school.said == []
            assert await north.present() == {"hana": HOST}

    run(scenario())
