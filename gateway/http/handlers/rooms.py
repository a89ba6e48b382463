"""``/api/rooms`` and ``/api/rooms/{room}``: create, list, show, rename, close, open again."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Annotated, Any, Final, Self

from pydantic import Field, model_validator

from broker.topology import Audience, Stream, Topology
from gateway.domain.message import Importance, timestamp
from gateway.domain.room import MemberRole
from gateway.errors import NoCapacity, RateLimited, RoomClosed
from gateway.http.api import ApiHandler
from gateway.http.body import Body
from gateway.http.names import WrittenUser
from gateway.rooms import RoomView


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


class RoomsHandler(ApiHandler):
    """The user's rooms: GET lists them, POST makes one."""

    async def get(self) -> None:
        rooms = await self.services.rooms.mine(await self.identity())
        topology = self.services.topology
        await self.write_list("rooms", rooms, partial(_as_json, topology=topology))

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


class Renaming(Body):
    """The body that gives a room another title."""

    title: Annotated[str, Field(min_length=1, max_length=200)]


#: The type of the instant message that tells those who are in a room of its new title.
RENAMED: Final = "room-renamed"


class RoomHandler(ApiHandler):
    """One room: GET shows it, PATCH renames it, DELETE closes it."""

    async def get(self, room: str) -> None:
        number = self.room_number(room)
        seen = await self.services.rooms.show(await self.identity(), number)
        self.write_json({**_as_json(seen, self.services.topology), "hosts": seen.hosts})

    async def patch(self, room: str) -> None:
        number = self.room_number(room)
        identity = await self.identity()
        title = self.body(Renaming).title
        renamed = await self.services.rooms.rename(identity, number, title)
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
        json = _as_json(renamed, self.services.topology)
        self.write_json({**json, "hosts": renamed.hosts})

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

    async def post(self, room: str) -> None:
        number = self.room_number(room)
        made = await self.services.rooms.reopen(await self.identity(), number)
        # As for a new room: 202 says that RabbitMQ lags behind.
        status = 200 if made.has_queue else 202
        json = _as_json(made, self.services.topology)
        self.write_json({**json, "hosts": made.hosts}, status=status)


def _as_json(view: RoomView, topology: Topology) -> dict[str, Any]:
    """A room as one user sees it; only hosts learn the address of its private messages."""
    room, role = view.room, view.role
    destinations = {"public": f"/topic/{topology.routing_key(Stream(Audience.PUBLIC, room.id))}"}
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
        "role": role,
        "destinations": destinations,
    }
