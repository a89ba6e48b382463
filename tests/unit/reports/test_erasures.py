"""Deletion by request at a gateway: it forgets, and goes on with what others have begun."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from broker.timing.tasks import Tasks
from gateway.auth.access import AccessRules
from gateway.auth.permissions import Permissions
from gateway.domain.erasure import Erasure
from gateway.domain.identity import Identity
from gateway.domain.room import Membership
from gateway.errors import Refused, StoreUnavailable
from gateway.observe.events import Events
from gateway.payer import Payer, payer
from gateway.reports.erasures import PATIENCE, STALLED, Erasures
from tests.virtual_time import run

NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)
ADMIN = Identity("root", frozenset({"admin"}), math.inf)
HOST = Identity("anna", frozenset({"host"}), math.inf)


class Database:
    """The record; a deletion takes ``seconds``, and raises while the database is ``away``."""

    def __init__(self) -> None:
        self.entries: dict[int, Erasure] = {}
        self.revision = 0
        self.seconds = 1.0
        self.away = False
        self.carried_out: list[int] = []
        self.closed: list[int] = []
        #: Who pays for the threads of each that was carried out.
        self.paid_by: list[Payer | None] = []
        #: Rooms of which it was asked whether anything was deleted in them.
        self.asked_for: list[list[int]] = []

    async def order_erasure(
        self, *, room: int | None, user: str | None, by: str, reason: str, at: datetime
    ) -> Erasure:
        self.revision += 1
        made = Erasure(len(self.entries) + 1, room, user, by, reason, at, revision=self.revision)
        self.entries[made.id] = made
        return made

    async def carry_out_erasure(self, erasure: Erasure) -> Erasure:
        self.carried_out.append(erasure.id)
        self.paid_by.append(payer.get())
        await asyncio.sleep(self.seconds)
        if self.away:
            raise StoreUnavailable("away")
        self.revision += 1
        made = replace(self.entries[erasure.id], done_at=NOW, messages=7, revision=self.revision)
        self.entries[erasure.id] = made
        return made

    async def erasure(self, id: int) -> Erasure | None:
        return self.entries.get(id)

    async def erasures(self) -> list[Erasure]:
        return list(self.entries.values())

    async def erasures_since(self, revision: int) -> tuple[int, list[Erasure]]:
        return self.revision, [
            each
            for each in self.entries.values()
            if each.revision > revision or each.done_at is None
        ]

    async def with_deleted(self, rooms: Sequence[int]) -> list[int]:
        self.asked_for.append(list(rooms))
        return [room for room in rooms if room == 4]

    async def membership(self, room: int, user: str) -> Membership | None:
        return None

    async def changed(self, room: int, user: str | None = None, *, ended: bool) -> None:
        assert (user, ended) == (None, True)
        self.closed.append(room)


class Gateway:
    """A gateway's service; ``forgot`` counts how often its memory was emptied, ``told`` are the
    rooms whose followers were told."""

    def __init__(self, database: Database) -> None:
        self.forgot = 0
        self.told: list[set[int]] = []
        self.service = Erasures(
            database,
            Permissions(database, AccessRules([])),
            database,
            events=Events(clock=lambda: 0.0),
            forget=self._forget,
            followed=lambda: {9, 4},
            tell=lambda rooms: self.told.append(set(rooms)),
            utc=lambda: NOW,
            clock=asyncio.get_running_loop().time,
            tasks=Tasks(),
        )
        self.service.start()

    def _forget(self) -> None:
        self.forgot += 1


def _rooms(gateway: Gateway) -> list[int]:
    return [room for rooms in gateway.told for room in sorted(rooms)]


def test_every_gateway_forgets_within_a_second() -> None:
    async def scenario() -> None:
        database = Database()
        one, other = Gateway(database), Gateway(database)
        await asyncio.sleep(2)
        assert (one.forgot, other.forgot) == (0, 0)
        made = await one.service.order(ADMIN, room=None, user="paul", reason="x")
        assert (made.messages, made.done_at) == (7, NOW)
        assert one.forgot >= 1
        await asyncio.sleep(1)
        assert other.forgot >= 1
        before = other.forgot
        await asyncio.sleep(60)
        assert other.forgot == before
        for each in (one, other):
            await each.service.close()

    run(scenario())


def test_a_room_is_closed_under_its_members_and_the_person_is_not() -> None:
    async def scenario() -> None:
        database = Database()
        gateway = Gateway(database)
        await gateway.service.order(ADMIN, room=3, user=None, reason="")
        await gateway.service.order(ADMIN, room=4, user="paul", reason="")
        assert set(database.closed) == {3}
        await gateway.service.close()

    run(scenario())


def test_every_gateway_tells_those_who_are_in_the_room_once() -> None:
    async def scenario() -> None:
        database = Database()
        one, other = Gateway(database), Gateway(database)
        await asyncio.sleep(2)
        await one.service.order(ADMIN, room=4, user="paul", reason="")
        await asyncio.sleep(60)
        assert _rooms(one) == _rooms(other) == [4]
        await one.service.order(ADMIN, room=None, user="paul", reason="")
        await one.service.order(ADMIN, room=3, user=None, reason="")
        await asyncio.sleep(60)
        # Of the rooms that are followed, those alone that have lost something.
        assert _rooms(one) == _rooms(other) == [4, 4]
        assert database.asked_for == [[4, 9], [4, 9]]
        for each in (one, other):
            await each.service.close()

    run(scenario())


def test_who_orders_a_deletion_does_not_pay_for_its_threads() -> None:
    async def scenario() -> None:
        database = Database()
        gateway = Gateway(database)
        before = payer.set(lambda _: None)
        try:
            await gateway.service.order(ADMIN, room=3, user=None, reason="")
        finally:
            payer.reset(before)
        assert database.paid_by == [None]
        await gateway.service.close()

    run(scenario())


def test_a_long_deletion_is_answered_and_goes_on() -> None:
    async def scenario() -> None:
        database = Database()
        database.seconds = 5 * PATIENCE
        gateway = Gateway(database)
        made = await gateway.service.order(ADMIN, room=3, user=None, reason="")
        assert made.done_at is None
        await asyncio.sleep(5 * PATIENCE)
        (done,) = await gateway.service.listed(ADMIN)
        assert done.done_at == NOW
        assert database.carried_out == [1]
        await gateway.service.close()

    run(scenario())


def test_what_a_gateway_has_not_completed_another_one_goes_on_with() -> None:
    async def scenario() -> None:
        database = Database()
        one, other = Gateway(database), Gateway(database)
        database.seconds = 1000.0
        await one.service.order(ADMIN, room=3, user=None, reason="")
        await one.service.close()
        database.seconds = 1.0
        await asyncio.sleep(STALLED + PATIENCE)
        assert database.entries[1].done_at == NOW
        assert database.carried_out == [1, 1]
        await other.service.close()

    run(scenario())


def test_a_deletion_that_the_database_has_broken_off_goes_on() -> None:
    async def scenario() -> None:
        database = Database()
        gateway = Gateway(database)
        database.away = True
        with pytest.raises(StoreUnavailable):
            await gateway.service.order(ADMIN, room=3, user=None, reason="")
        database.away = False
        await asyncio.sleep(STALLED + PATIENCE)
        assert database.entries[1].done_at == NOW
        await gateway.service.close()

    run(scenario())


def test_only_admins_may_order_it_and_see_the_record() -> None:
    async def scenario() -> None:
        database = Database()
        gateway = Gateway(database)
        with pytest.raises(Refused):
            await gateway.service.order(HOST, room=3, user=None, reason="")
        with pytest.raises(Refused):
            await gateway.service.listed(HOST)
        assert database.entries == {}
        await gateway.service.close()

    run(scenario())
