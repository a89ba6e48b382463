"""``/api/rooms/{room}/members``: the members of a room, for its hosts."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from gateway.domain.room import Member, MemberRole
from gateway.http.api import ApiHandler
from gateway.http.body import Body
from gateway.http.names import user_in_path


class Role(Body):
    """The body that sets a member's role."""

    role: Annotated[MemberRole, Field(strict=False)]


class MembersHandler(ApiHandler):
    """The list of a room's members."""

    async def get(self, room: str) -> None:
        number = self.room_number(room)
        members = await self.services.rooms.members(await self.identity(), number)
        self.write_json({"members": [_as_json(member) for member in members]})


class MemberHandler(ApiHandler):
    """One member of a room."""

    async def put(self, room: str, user: str) -> None:
        number = self.room_number(room)
        identity = await self.identity()
        member = Member(user_in_path(user), self.body(Role).role)
        await self.services.rooms.set_member(identity, number, member)
        self.write_json(_as_json(member))

    async def delete(self, room: str, user: str) -> None:
        number = self.room_number(room)
        await self.services.rooms.remove_member(await self.identity(), number, user)
        self.set_status(204)


def _as_json(member: Member) -> dict[str, Any]:
    return {"user": member.user, "role": member.role}
