"""``/api/rooms/{room}/members``: the members of a room, for its hosts."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from gateway.domain.guest import is_guest
from gateway.domain.room import Member, MemberRole
from gateway.domain.user_name import written_otherwise
from gateway.errors import LastHost, RoomClosed, RoomFull, TooManyChanges, UnknownMember
from gateway.http.api import ApiHandler
from gateway.http.body import Body
from gateway.http.contract.operation import Answer, Operation, Who
from gateway.http.names import user_in_path


class Role(Body):
    """The body that sets a member's role."""

    role: Annotated[MemberRole, Field(strict=False)]


class ShownMember(TypedDict):
    """A member; ``unknown``: nobody can log in under the name, because accounts are the only way to
    log in."""

    user: str
    role: MemberRole
    name: NotRequired[str]
    guest: NotRequired[Literal[True]]
    unknown: NotRequired[Literal[True]]


class ShownMembers(TypedDict):
    """The members of a room."""

    members: list[ShownMember]


class MembersHandler(ApiHandler):
    """The list of a room's members."""

    @Operation(
        "List the members", who=Who.HOST, answers={200: Answer("The members.", ShownMembers)}
    )
    async def get(self, room: str) -> None:
        number = self.room_number(room)
        members = await self.services.rooms.members(await self.identity(), number)
        only = self.services.credentials.accounts_only
        await self.write_list("members", members, partial(_as_json, accounts_only=only))


class MemberHandler(ApiHandler):
    """One member of a room."""

    @Operation(
        "Add a member, or change the role",
        who=Who.HOST,
        body=Role,
        answers={200: Answer("The member.", ShownMember)},
        refuses=(RoomClosed, RoomFull, LastHost, TooManyChanges),
    )
    async def put(self, room: str, user: str) -> None:
        number = self.room_number(room)
        identity = await self.identity()
        name = user_in_path(user)
        member = await self.services.rooms.set_member(
            identity,
            number,
            Member(name, self.body(Role).role, name=written_otherwise(user, name)),
        )
        only = self.services.credentials.accounts_only
        self.write_json(_as_json(replace(member, name=None), accounts_only=only))

    @Operation(
        "Remove a member, whose subscriptions end within a second",
        who=Who.HOST,
        answers={204: Answer("Removed.")},
        refuses=(UnknownMember, LastHost, RoomClosed, TooManyChanges),
    )
    async def delete(self, room: str, user: str) -> None:
        number = self.room_number(room)
        await self.services.rooms.remove_member(await self.identity(), number, user)
        self.set_status(204)


def _as_json(member: Member, *, accounts_only: bool) -> ShownMember:
    """A member; ``unknown`` if nobody can log in under the name, because accounts are the only way
    to log in."""
    found: ShownMember = {"user": member.user, "role": member.role}
    if member.name is not None:
        found["name"] = member.name
    if is_guest(member.user):
        found["guest"] = True
    elif accounts_only and not member.has_account:
        found["unknown"] = True
    return found
