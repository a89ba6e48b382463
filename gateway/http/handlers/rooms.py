"""``/api/rooms`` and ``/api/rooms/{room}``: create, list, show, close."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from broker.topology import Audience, Stream, Topology
from gateway.auth.permissions import Action
from gateway.domain.message import timestamp
from gateway.domain.room import MemberRole, Room
from gateway.http.api import ApiHandler
from gateway.http.body import Body
from gateway.http.names import UserName


class NewMember(Body):
    """A member in the body of a new room."""

    user: UserName
    role: Annotated[MemberRole, Field(strict=False)] = MemberRole.PARTICIPANT


class NewRoom(Body):
    """The body of a new room."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    members: tuple[NewMember, ...] = Field(default=(), strict=False)

    @model_validator(mode="after")
    def _members_differ(self) -> Self:
        users = [member.user for member in self.members]
        if len(set(users)) != len(users):
            raise ValueError("members: a user is given twice")
        return self


class RoomsHandler(ApiHandler):
    """The user's rooms: GET lists them, POST makes one."""

    async def get(self) -> None:
        identity = await self.identity()
        rooms = await self.services.store.rooms_of(identity.user)
        topology = self.services.topology
        self.write_json({"rooms": [as_json(room, role, topology) for room, role in rooms]})

    async def post(self) -> None:
        identity = await self.identity()
        await self.services.permissions.require(identity, Action.CREATE_ROOM)
        wanted = self.body(NewRoom)
        members = {member.user: member.role for member in wanted.members}
        if MemberRole.HOST not in members.values():
            members[identity.user] = MemberRole.HOST
        room = await self.services.rooms.create(wanted.title, members)
        self.set_header("Location", f"/api/rooms/{room.id}")
        self.write_json(
            as_json(room, members.get(identity.user), self.services.topology), status=201
        )


class RoomHandler(ApiHandler):
    """One room: GET shows it, DELETE closes it."""

    async def get(self, room: str) -> None:
        number = self.room_number(room)
        identity = await self.identity()
        await self.services.permissions.require(identity, Action.SEE_ROOM, number)
        found, role = await self.services.rooms.show(number, identity.user)
        members = await self.services.store.members(number)
        hosts = [member.user for member in members if member.role is MemberRole.HOST]
        # Every page has to know whose messages control the room.
        self.write_json({**as_json(found, role, self.services.topology), "hosts": hosts})

    async def delete(self, room: str) -> None:
        number = self.room_number(room)
        identity = await self.identity()
        await self.services.permissions.require(identity, Action.MANAGE_ROOM, number)
        await self.services.rooms.close(number)
        self.set_status(204)


def as_json(room: Room, role: MemberRole | None, topology: Topology) -> dict[str, Any]:
    """A room as a member with this role sees it; only hosts learn the address of its private
    messages."""
    destinations = {"public": f"/topic/{topology.routing_key(Stream(Audience.PUBLIC, room.id))}"}
    if role is MemberRole.HOST:
        private = topology.routing_key(Stream(Audience.PRIVATE, room.id))
        destinations["private"] = f"/topic/{private}"
        destinations["queue"] = f"/queue/{topology.private_queue(room.id).name}"
    return {
        "id": room.id,
        "title": room.title,
        "created_at": timestamp(room.created_at),
        "closed_at": None if room.closed_at is None else timestamp(room.closed_at),
        "role": role,
        "destinations": destinations,
    }
