"""Permissions for rooms and members: every operation of the service, for everybody."""

from __future__ import annotations

import ast
import asyncio
import inspect
import math
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

import gateway.http.handlers
from broker.publishing.provision import QueueFailed
from broker.topology import Audience, Stream
from gateway import private_queues
from gateway.auth.access import AccessRules
from gateway.auth.permissions import Permissions
from gateway.config import Limits
from gateway.domain.identity import Identity
from gateway.domain.room import Attendee, Member, MemberRole, Membership, Room
from gateway.domain.session import Proof
from gateway.errors import (
    GatewayError,
    NoCapacity,
    Refused,
    RoomsFull,
    TooManyChanges,
    TooManyOpenRooms,
    TooManyRooms,
    UnknownRoom,
)
from gateway.http.handlers.admin import AdminHandler
from gateway.http.services import HandlerServices
from gateway.limits import LiveLimits
from gateway.messages.history_reads import HistoryReads
from gateway.observe.journal import Journal
from gateway.private_queues import IN_ALL, NEW_QUEUE, OF_MAKER, PrivateQueues
from gateway.rooms import CREATED_AT_ONCE, LONGEST_WAIT, Rooms
from gateway.store.records import JsonPage
from tests import virtual_time
from tests.budgets import budgets_of
from tests.virtual_time import run

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
ROOM, UNKNOWN = 1, 2
#: Rooms that one user may make, or close, at once.
ROOMS_AT_ONCE: Final = 3

STRANGER = Identity("mallory", frozenset(), math.inf)
PARTICIPANT = Identity("bob", frozenset(), math.inf)
HOST = Identity("anna", frozenset(), math.inf)
#: May create rooms, and is a member of none.
TEACHER = Identity("tom", frozenset({"host"}), math.inf)
ADMIN = Identity("root", frozenset({"admin"}), math.inf)
EVERYBODY: Final = (STRANGER, PARTICIPANT, HOST, TEACHER, ADMIN)


@dataclass
class FakeBackends:
    """Room 1 in the store, in RabbitMQ, and on the line. ``done``: what was read and changed."""

    done: list[str] = field(default_factory=list)
    open_of: dict[str, int] = field(default_factory=dict)
    open_rooms: int = 0
    queue_fails: bool = False
    queue_hangs: bool = False
    members_of_room: int = 2
    #: For a creation; and how many are under way, now and at most.
    seconds: float = 0.0
    creating: int = 0
    most_creating: int = 0

    async def membership(self, room: int, user: str) -> Membership | None:
        roles = {"anna": MemberRole.HOST, "bob": MemberRole.PARTICIPANT}
        return Membership(is_open=True, role=roles.get(user)) if room == ROOM else None

    async def copy_room(self, room: int, *, title: str | None, creator: str, **_: object) -> Room:
        self.done.append(f"copy {room} as {title} for {creator}")
        return Room(ROOM + 1, title or "", NOW)

    async def create_room(
        self,
        title: str,
        members: Mapping[str, MemberRole],
        at: datetime,
        *,
        creator: str,
        names: Mapping[str, str],
        refusal: Callable[[int, int], GatewayError | None],
    ) -> Room:
        if (error := refusal(self.open_of.get(creator, 0), self.open_rooms)) is not None:
            raise error
        self.creating += 1
        self.most_creating = max(self.most_creating, self.creating)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.creating -= 1
        self.done.append(f"create {title}")
        return Room(ROOM, title, at)

    async def rooms_of(self, user: str) -> list[tuple[Room, MemberRole]]:
        self.done.append(f"rooms of {user}")
        return []

    async def room(self, room: int) -> Room | None:
        self.done.append("room")
        return Room(room, "Maths", NOW) if room == ROOM else None

    async def hosts(self, room: int) -> list[str]:
        self.done.append("hosts")
        return ["anna"]

    async def members(self, room: int) -> list[Member]:
        self.done.append("members")
        return [Member("anna", MemberRole.HOST), Member("bob", MemberRole.PARTICIPANT)]

    async def close_room(self, room: int, at: datetime) -> bool:
        self.done.append("close")
        return True

    async def reopen_room(
        self, room: int, *, refusal: Callable[[int, int], GatewayError | None]
    ) -> bool:
        if (error := refusal(0, self.open_rooms)) is not None:
            raise error
        self.done.append("reopen")
        return True

    async def rename_room(self, room: int, title: str) -> None:
        self.done.append(f"rename to {title}")

    async def keep_room(self, room: int, days: int | None) -> None:
        self.done.append(f"keep for {days} days")

    async def has_account(self, user: str) -> bool:
        return False

    async def set_member(
        self,
        room: int,
        user: str,
        role: MemberRole,
        name: str | None,
        *,
        one_more: Callable[[int], GatewayError | None],
    ) -> MemberRole | None:
        if (error := one_more(self.members_of_room)) is not None:
            raise error
        self.done.append(f"set {user}")
        return None

    async def remove_member(self, room: int, user: str) -> bool:
        self.done.append(f"remove {user}")
        return True

    async def read_json(
        self,
        stream: Stream,
        *,
        after: int,
        limit: int,
        sender: str | None,
        types: Collection[str] | None,
        veiled: bool,
    ) -> JsonPage:
        self.done.append(f"read {sender or 'everybody'}")
        return JsonPage([], None, 0, 1)

    async def of(self, room: int) -> list[Attendee]:
        self.done.append("present")
        return []

    async def changed(self, room: int, user: str | None = None, *, ended: bool) -> None:
        self.done.append(f"told of {user or 'the room'}{', ended' if ended else ''}")

    async def end_guests(self, room: int, reason: str, *, remove: bool) -> int:
        self.done.append("end guests")
        return 0

    async def end_own(self, user: str, proof: Proof) -> int:
        self.done.append(f"end {user}")
        return 1

    async def declare_private_queue(self, room: int, *, maker: str | None = None) -> int:
        if self.queue_hangs:
            await asyncio.Event().wait()
        if self.queue_fails:
            raise QueueFailed("away")
        return 1

    def owe(self, room: int) -> None:
        self.done.append(f"owe {room} its queue")

    async def delete_private_queue(self, room: int) -> None:
        if self.queue_fails:
            raise QueueFailed("away")


def services(backends: FakeBackends, **limits: float) -> tuple[Rooms, HistoryReads]:
    permissions = Permissions(backends, AccessRules([]))
    rooms = Rooms(
        permissions=permissions,
        store=backends,
        queues=PrivateQueues(backends, clock=lambda: 0.0),
        changes=backends,
        presence=backends,
        endings=backends,
        filled=lambda stream: backends.done.append(f"fill {stream}"),
        budgets=budgets_of(
            clock=lambda: 0.0, rooms_per_minute=60.0, rooms_burst=ROOMS_AT_ONCE, **limits
        ),
        journal=Journal(clock=lambda: 0.0),
        clock=lambda: NOW,
    )
    return rooms, HistoryReads(
        backends, permissions, budgets=budgets_of(), limits=LiveLimits(Limits())
    )


CAROL = Member("carol", MemberRole.PARTICIPANT)
PUBLIC, PRIVATE = Stream(Audience.PUBLIC, ROOM), Stream(Audience.PRIVATE, ROOM)
ALL, MEMBERS, HOSTS = (
    set(EVERYBODY),
    {PARTICIPANT, HOST, ADMIN},
    {HOST, ADMIN},
)

Operation = Callable[[Rooms, HistoryReads, Identity, int], Awaitable[object]]


def read(stream: Callable[[int], Stream]) -> Operation:
    return lambda _, history, who, room: history.page(
        who, stream(room), after=0, limit=None, types=None
    )


#: By the name of the service's method: how it is called, and who may call it.
OPERATIONS: Final[dict[str, tuple[Operation, set[Identity]]]] = {
    "mine": (lambda rooms, _, who, room: rooms.mine(who), ALL),
    "create": (lambda rooms, _, who, room: rooms.create(who, "Maths", {}), {TEACHER, ADMIN}),
    "show": (lambda rooms, _, who, room: rooms.show(who, room), MEMBERS),
    "present": (lambda rooms, _, who, room: rooms.present(who, room), MEMBERS),
    "close": (lambda rooms, _, who, room: rooms.close(who, room), HOSTS),
    "copy": (lambda rooms, _, who, room: rooms.copy(who, room, "Art"), {ADMIN}),
    "reopen": (lambda rooms, _, who, room: rooms.reopen(who, room), HOSTS),
    "rename": (lambda rooms, _, who, room: rooms.rename(who, room, "Art"), HOSTS),
    "keep": (lambda rooms, _, who, room: rooms.keep(who, room, 30), HOSTS),
    "members": (lambda rooms, _, who, room: rooms.members(who, room), HOSTS),
    "set_member": (lambda rooms, _, who, room: rooms.set_member(who, room, CAROL), HOSTS),
    "remove_member": (lambda rooms, _, who, room: rooms.remove_member(who, room, "bob"), HOSTS),
    "page of the public messages": (read(lambda room: Stream(Audience.PUBLIC, room)), MEMBERS),
    "page of the private messages": (read(lambda room: Stream(Audience.PRIVATE, room)), MEMBERS),
}
OUTSIDE_ROOMS: Final = {"mine", "create"}


def test_every_operation_of_the_services_is_in_the_table() -> None:
    public = {
        name
        for service in (Rooms, HistoryReads)
        for name, method in inspect.getmembers(service, inspect.iscoroutinefunction)
        if not name.startswith("_")
    }
    # It only compares what somebody knows who is refused by the operation that follows.
    public.remove("recognise")
    assert public == {name.split(" ")[0] for name in OPERATIONS}


@pytest.mark.parametrize("who", EVERYBODY, ids=lambda who: who.user)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_user_without_permission_is_refused_before_anything_is_read_or_changed(
    operation: str, who: Identity
) -> None:
    call, allowed = OPERATIONS[operation]
    backends = FakeBackends()
    if who in allowed:
        asyncio.run(_awaited(call(*services(backends), who, ROOM)))
        assert backends.done
    else:
        with pytest.raises(Refused):
            asyncio.run(_awaited(call(*services(backends), who, ROOM)))
        assert backends.done == []


@pytest.mark.parametrize("who", EVERYBODY, ids=lambda who: who.user)
@pytest.mark.parametrize("operation", OPERATIONS.keys() - OUTSIDE_ROOMS)
def test_a_room_that_does_not_exist_is_unknown_to_everybody(operation: str, who: Identity) -> None:
    backends = FakeBackends()
    with pytest.raises(UnknownRoom):
        asyncio.run(_awaited(OPERATIONS[operation][0](*services(backends), who, UNKNOWN)))
    assert backends.done == []


async def _awaited(call: Awaitable[object]) -> None:
    await call


@pytest.mark.parametrize(
    ("who", "stream", "read"),
    [
        (PARTICIPANT, PUBLIC, "read everybody"),
        (PARTICIPANT, PRIVATE, "read bob"),
        (HOST, PRIVATE, "read everybody"),
        (ADMIN, PRIVATE, "read everybody"),
    ],
)
def test_a_participant_reads_only_their_own_private_messages(
    who: Identity, stream: Stream, read: str
) -> None:
    backends = FakeBackends()
    _, history = services(backends)
    asyncio.run(_awaited(history.page(who, stream, after=0, limit=None, types=None)))
    assert backends.done == [read]


def _teacher(number: int) -> Identity:
    return Identity(f"teacher {number}", frozenset({"host"}), math.inf)


def test_creations_that_would_wait_for_each_other_keep_few_connections_to_the_database() -> None:
    async def course() -> None:
        backends = FakeBackends(seconds=0.01)
        rooms, _ = services(backends)
        await asyncio.gather(*(rooms.create(_teacher(one), "Maths", {}) for one in range(50)))
        assert backends.most_creating == CREATED_AT_ONCE
        assert backends.done == ["create Maths"] * 50

    run(course())


def test_while_the_database_is_slow_creations_are_refused_and_go_on_afterwards() -> None:
    async def course() -> None:
        backends = FakeBackends(seconds=2 * LONGEST_WAIT)
        rooms, _ = services(backends)
        first = [
            asyncio.ensure_future(rooms.create(_teacher(one), "Maths", {}))
            for one in range(CREATED_AT_ONCE)
        ]
        await virtual_time.settle()
        with pytest.raises(NoCapacity) as error:
            await rooms.create(_teacher(9), "Maths", {})
        assert error.value.retry_after
        first[0].cancel()
        backends.seconds = 0.0
        await rooms.create(_teacher(9), "Maths", {})
        await first[1]

    run(course())


def test_a_creator_who_names_no_host_hosts_the_room() -> None:
    rooms, _ = services(FakeBackends())
    made = asyncio.run(rooms.create(TEACHER, "Maths", {"bob": MemberRole.PARTICIPANT}))
    assert made.role is MemberRole.HOST
    made = asyncio.run(rooms.create(TEACHER, "Maths", {"anna": MemberRole.HOST}))
    assert made.role is None


@pytest.mark.parametrize("trouble", ["queue_fails", "queue_hangs"])
def test_a_room_can_be_there_before_its_queue(
    trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(private_queues, "NEW_QUEUE", 0.01)
    backends = FakeBackends()
    setattr(backends, trouble, True)
    rooms, _ = services(backends)
    made = asyncio.run(rooms.create(TEACHER, "Maths", {}))
    assert not made.has_queue
    assert backends.done == ["create Maths", f"owe {ROOM} its queue"]


def test_beyond_the_rate_of_queues_rooms_come_first_and_their_queues_follow() -> None:
    async def course() -> None:
        declared = FakeBackends()
        queues = PrivateQueues(declared, clock=asyncio.get_running_loop().time)
        began = asyncio.get_running_loop().time()
        made = await asyncio.gather(*(queues.create(room, "greedy") for room in range(50)))
        # The burst at once, as many as may be made while a POST waits, and the others later.
        at_once = int(OF_MAKER.burst + OF_MAKER.per_second * NEW_QUEUE / 2)
        assert made == [True] * at_once + [False] * (50 - at_once)
        assert declared.done == [f"owe {room} its queue" for room in range(at_once, 50)]
        assert asyncio.get_running_loop().time() - began <= NEW_QUEUE
        assert await queues.create(50, "another")

    run(course())


def test_all_makers_together_have_a_rate_of_queues() -> None:
    async def course() -> None:
        queues = PrivateQueues(FakeBackends(), clock=asyncio.get_running_loop().time)
        made = await asyncio.gather(*(queues.create(room, f"user {room}") for room in range(99)))
        assert made.count(True) == IN_ALL.burst + IN_ALL.per_second * NEW_QUEUE / 2

    run(course())


def test_a_room_whose_queue_could_be_made_is_owed_nothing() -> None:
    backends = FakeBackends()
    rooms, _ = services(backends)
    assert asyncio.run(rooms.create(TEACHER, "Maths", {})).has_queue
    assert backends.done == ["create Maths"]


def test_without_the_broker_a_closed_room_stays_closed() -> None:
    backends = FakeBackends(queue_fails=True)
    rooms, _ = services(backends)
    assert not asyncio.run(rooms.close(HOST, ROOM))
    assert backends.done == ["close", "told of the room, ended", "end guests"]


def test_the_rooms_that_a_user_makes_and_closes_are_limited_and_nobody_elses() -> None:
    async def course() -> None:
        backends = FakeBackends()
        rooms, _ = services(backends)
        for _ in range(ROOMS_AT_ONCE):
            await rooms.create(TEACHER, "Maths", {})
            await rooms.close(ADMIN, ROOM)
        before = list(backends.done)
        for refused in (rooms.create(TEACHER, "Maths", {}), rooms.close(ADMIN, ROOM)):
            with pytest.raises(TooManyRooms) as error:
                await refused
            assert error.value.retry_after == 1.0
        assert backends.done == before
        await rooms.create(ADMIN, "Maths", {})
        await rooms.close(HOST, ROOM)

    asyncio.run(course())


def test_the_open_rooms_that_a_user_has_created_are_limited_and_those_of_all() -> None:
    backends = FakeBackends(open_of={TEACHER.user: 2}, open_rooms=2)
    rooms, _ = services(backends, open_rooms_per_user=2, open_rooms=3)

    async def course() -> None:
        with pytest.raises(TooManyOpenRooms, match=r"at most 2 .* close one"):
            await rooms.create(TEACHER, "Maths", {})
        assert not backends.done
        await rooms.create(ADMIN, "Maths", {})
        backends.open_rooms = 3
        with pytest.raises(RoomsFull):
            await rooms.create(ADMIN, "Maths", {})

    asyncio.run(course())
    assert backends.done == ["create Maths"]


def test_a_member_who_is_put_in_and_taken_out_again_and_again_costs_the_others_nothing() -> None:
    backends = FakeBackends()
    rooms, _ = services(backends, member_changes_burst=3, member_changes_per_second=2.0)

    async def course() -> None:
        await rooms.set_member(HOST, ROOM, CAROL)
        await rooms.remove_member(HOST, ROOM, "bob")
        await rooms.set_member(HOST, ROOM, CAROL)
        before = list(backends.done)
        for refused in (
            rooms.set_member(HOST, ROOM, CAROL),
            rooms.remove_member(HOST, ROOM, "bob"),
        ):
            with pytest.raises(TooManyChanges) as error:
                await refused
            assert error.value.retry_after == 0.5
        assert backends.done == before
        await rooms.set_member(ADMIN, ROOM, CAROL)

    asyncio.run(course())


#: Modules that let a handler read or change something without asking who may.
_BEHIND_THE_SERVICES: Final = (
    "gateway.store",
    "gateway.auth.permissions",
    "gateway.auth.memberships",
    "gateway.cluster",
    "gateway.messages.pipeline",
    "gateway.private_queues",
)
#: Data, and not a way to it.
_PLAIN_DATA: Final = {
    ("gateway.messages.pipeline", "Receipt"),
    ("gateway.store.records", "StatePage"),
}


def _handlers() -> list[Path]:
    return sorted(Path(gateway.http.handlers.__path__[0]).glob("*.py"))


@pytest.mark.parametrize("file", _handlers(), ids=lambda file: file.stem)
def test_no_handler_has_a_way_past_the_services(file: Path) -> None:
    imports: set[tuple[str, str]] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            imports |= {(node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            imports |= {(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.Attribute):
            assert node.attr not in {"store", "permissions", "memberships"}, node.lineno
    wrong = {(module, name) for module, name in imports if module.startswith(_BEHIND_THE_SERVICES)}
    assert wrong <= _PLAIN_DATA


def test_the_services_of_handlers_hold_neither_the_store_nor_the_permissions() -> None:
    given: dict[str, Any] = {each.name: each.type for each in fields(HandlerServices)}
    assert not {"Store", "Permissions", "Memberships"} & set(given.values())


def test_every_handler_of_the_dashboard_asks_first() -> None:
    """Its base does, so that a new one cannot forget."""
    module = inspect.getmodule(AdminHandler)
    handlers = [
        each
        for name, each in inspect.getmembers(module, inspect.isclass)
        if name.endswith("Handler") and each.__module__ == AdminHandler.__module__
    ]
    assert len(handlers) > 4
    assert all(
        issubclass(each, AdminHandler) and each.prepare is AdminHandler.prepare for each in handlers
    )
