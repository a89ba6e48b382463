"""``/api/rooms`` and ``/api/rooms/{room}``: create, list, show, rename, close, open again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Annotated, Final, NotRequired, Self

from pydantic import Field, model_validator
from typing_extensions import TypedDict

from broker.topology import Audience, Stream, Topology
from gateway.domain.identity import Identity
from gateway.domain.message import Importance, timestamp
from gateway.domain.room import MemberRole
from gateway.errors import (
    HistoryFull,
    NoCapacity,
    RateLimited,
    RoomClosed,
    RoomFull,
    RoomsFull,
    TooManyChanges,
    TooManyKeys,
    TooManyOpenRooms,
    TooManyRooms,
)
from gateway.http.api import ApiHandler
from gateway.http.body import Body
from gateway.http.contract.operation import Answer, Operation, Who
from gateway.http.contract.shapes import Moment
from gateway.http.names import WrittenUser
from gateway.rooms import RoomView

#: Days for which a room may keep what was said: a hundred years are for ever.
LONGEST_KEPT: Final = 36_500


class NewMember(Body):
    """A member in the body of a new room."""

    user: WrittenUser
    role: Annotated[MemberRole, Field(strict=False)] = MemberRole.PARTICIPANT


class NewRoom(Body):
    """The body of a new room."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    members: tuple[NewMember, ...] = Field(default=(), strict=False)

    @model_validator(mode="after")
    def _members_differ(self) -> Self:
        users = [member.user.name for member in self.members]
        if len(set(users)) != len(users):
            raise ValueError("members: a user is given twice")
        return self


class Destinations(TypedDict):
    """The addresses of a room's messages; the private ones are for hosts."""

    public: str
    private: NotRequired[str]
    queue: NotRequired[str]


class ShownRoom(TypedDict):
    """A room as one user sees it. ``identity`` tells it from another one of the same number;
    ``keep_days``: the age at which its messages are deleted, null: as the configuration says;
    ``role`` null: an admin, who is no member; ``hosts``: in the answer about one room."""

    id: int
    identity: str
    title: str
    created_at: Moment
    closed_at: Moment | None
    keep_days: int | None
    role: MemberRole | None
    destinations: Destinations
    hosts: NotRequired[Sequence[str]]


class ShownRooms(TypedDict):
    """The rooms of a user."""

    rooms: list[ShownRoom]


_MADE: Final = {
    201: Answer("The room; its queue is there.", ShownRoom, headers=("Location",)),
    202: Answer(
        "The room; RabbitMQ lags behind, and its queue follows.", ShownRoom, headers=("Location",)
    ),
}
_MAKING: Final = (TooManyRooms, TooManyOpenRooms, RoomsFull, RoomFull)


class RoomsHandler(ApiHandler):
    """The user's rooms: GET lists them, POST makes one."""

    @Operation(
        "List the rooms of the user", who=Who.USER, answers={200: Answer("The rooms.", ShownRooms)}
    )
    async def get(self) -> None:
        rooms = await self.services.rooms.mine(await self.identity())
        topology = self.services.topology
        await self.write_list("rooms", rooms, partial(_as_json, topology=topology))

    @Operation(
        "Make a room",
        who=Who.HOST_ROLE,
        body=NewRoom,
        answers=_MADE,
        refuses=_MAKING,
        more="Whoever makes it is its host.",
    )
    async def post(self) -> None:
        identity = await self.identity()
        wanted = self.body(NewRoom)
        members = {member.user.name: member.role for member in wanted.members}
        names = {each.user.name: each.user.written for each in wanted.members if each.user.written}
        made = await self.services.rooms.create(identity, wanted.title, members, names=names)
        self.set_header("Location", self.address(f"/api/rooms/{made.room.id}"))
        # As for messages: 202 says that RabbitMQ lags behind.
        status = 201 if made.has_queue else 202
        self.write_json(_as_json(made, self.services.topology), status=status)


class Change(Body):
    """The body that gives a room another title, or another age to its messages: whatever is there.
    ``keep_days``: None is as the configuration says."""

    title: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    keep_days: Annotated[int, Field(ge=1, le=LONGEST_KEPT)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.title is None and "keep_days" not in self.model_fields_set:
            raise ValueError("there must be a title, or keep_days")
        return self


#: The type of the instant message that tells those who are in a room of its new title.
RENAMED: Final = "room-renamed"


class RoomHandler(ApiHandler):
    """One room: GET shows it, PATCH renames it or says how long it keeps what was said, DELETE
    closes it."""

    @Operation("Show a room", who=Who.MEMBER, answers={200: Answer("The room.", ShownRoom)})
    async def get(self, room: str) -> None:
        number = self.room_number(room)
        seen = await self.services.rooms.show(await self.identity(), number)
        self.write_json(_with_hosts(seen, self.services.topology))

    @Operation(
        "Rename a room, or say how long it keeps what was said",
        who=Who.HOST,
        body=Change,
        answers={200: Answer("The room.", ShownRoom)},
        refuses=(RoomClosed, TooManyChanges),
    )
    async def patch(self, room: str) -> None:
        number = self.room_number(room)
        identity = await self.identity()
        change = self.body(Change)
        if "keep_days" in change.model_fields_set:
            await self.services.rooms.keep(identity, number, change.keep_days)
        if change.title is not None:
            await self._rename(identity, number, change.title)
        changed = await self.services.rooms.show(identity, number)
        self.write_json(_with_hosts(changed, self.services.topology))

    async def _rename(self, identity: Identity, number: int, title: str) -> None:
        await self.services.rooms.rename(identity, number, title)
        # Instant, so it may be lost; a closed room has nobody to tell, and too many orders in a row
        # are told by the last one's title all the same.
        with suppress(RoomClosed, RateLimited, NoCapacity):
            await self.services.intake.post(
                identity,
                Stream(Audience.PUBLIC, number),
                id=None,
                type=RENAMED,
                importance=Importance.INSTANT,
                body={"title": title},
            )

    @Operation(
        "Close a room",
        who=Who.HOST,
        answers={
            204: Answer("Closed; its history stays."),
            202: Answer("Closed; RabbitMQ lags behind, and its queue goes later."),
        },
        refuses=(TooManyChanges,),
    )
    async def delete(self, room: str) -> None:
        number = self.room_number(room)
        deleted = await self.services.rooms.close(await self.identity(), number)
        # As for a new room: 202 says that RabbitMQ lags behind.
        self.set_status(204 if deleted else 202)


class Copying(Body):
    """The body of a copy; without a title it has the same one."""

    title: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class CopyHandler(ApiHandler):
    """The copy of a room: a new one with its members, its order and what was prepared in it."""

    @Operation(
        "Make a room like this one, with its members, its order and what was prepared",
        who=Who.HOST,
        body=Copying,
        answers=_MADE,
        refuses=(*_MAKING, TooManyKeys, HistoryFull),
    )
    async def post(self, room: str) -> None:
        number = self.room_number(room)
        identity = await self.identity()
        title = self.body(Copying).title
        made = await self.services.rooms.copy(identity, number, title)
        self.set_header("Location", self.address(f"/api/rooms/{made.room.id}"))
        # As for a new room: 202 says that RabbitMQ lags behind.
        status = 201 if made.has_queue else 202
        self.write_json(_as_json(made, self.services.topology), status=status)


class OpenHandler(ApiHandler):
    """The opening of a closed room."""

    @Operation(
        "Open a closed room again",
        who=Who.HOST,
        answers={
            200: Answer("The room.", ShownRoom),
            202: Answer("The room; RabbitMQ lags behind, and its queue follows.", ShownRoom),
        },
        refuses=(*_MAKING, TooManyChanges),
    )
    async def post(self, room: str) -> None:
        number = self.room_number(room)
        made = await self.services.rooms.reopen(await self.identity(), number)
        # As for a new room: 202 says that RabbitMQ lags behind.
        status = 200 if made.has_queue else 202
        self.write_json(_with_hosts(made, self.services.topology), status=status)


def _with_hosts(view: RoomView, topology: Topology) -> ShownRoom:
    return {**_as_json(view, topology), "hosts": view.hosts}


def _as_json(view: RoomView, topology: Topology) -> ShownRoom:
    """A room as one user sees it; only hosts learn the address of its private messages."""
    room, role = view.room, view.role
    destinations: Destinations = {
        "public": f"/topic/{topology.routing_key(Stream(Audience.PUBLIC, room.id))}"
    }
    if role is MemberRole.HOST:
        private = topology.routing_key(Stream(Audience.PRIVATE, room.id))
        destinations["private"] = f"/topic/{private}"
        destinations["queue"] = f"/queue/{topology.private_queue(room.id).name}"
    return {
        "id": room.id,
        "identity": room.identity,
        "title": room.title,
        "created_at": timestamp(room.created_at),
        "closed_at": None if room.closed_at is None else timestamp(room.closed_at),
        "keep_days": room.keep_days,
        "role": role,
        "destinations": destinations,
    }
