"""``/api/rooms/{room}/roster`` and ``/api/roster``: lists of people, checked before they are
added."""

from __future__ import annotations

from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from gateway.domain.room import MemberRole
from gateway.domain.roster import MOST_BYTES, MOST_CHARACTERS
from gateway.errors import RoomClosed, RoomFull, TooManyChanges
from gateway.http.api import ApiHandler
from gateway.http.body import Body
from gateway.http.contract.operation import Answer, Operation, Who
from gateway.rosters import Entry, State


class List(Body):
    """The body with a list. ``role``: of lines that say none; ``add``: not only check it;
    ``unknown``: and add those, too, who have no account."""

    text: Annotated[str, Field(max_length=MOST_CHARACTERS)]
    role: Annotated[MemberRole, Field(strict=False)] = MemberRole.PARTICIPANT
    add: bool = False
    unknown: bool = False


class _ListHandler(ApiHandler):
    """A resource that takes a list of people."""

    @property
    def most_body(self) -> int:
        return MOST_BYTES


class ShownLine(TypedDict):
    """A line of the list, and what adding it does. ``why``: what is wrong with it."""

    line: int
    written: str
    state: State
    role: MemberRole
    user: NotRequired[str]
    name: NotRequired[str]
    why: NotRequired[str]


class ShownLines(TypedDict):
    """The lines of a list. ``added``: the users who are members now, if they were
    to be."""

    entries: list[ShownLine]
    added: NotRequired[list[str]]


class RosterHandler(_ListHandler):
    """A list of people for a room: POST checks it, and adds them."""

    @Operation(
        "Check a list of people, or add them as members",
        who=Who.HOST,
        body=List,
        answers={200: Answer("Each line.", ShownLines)},
        refuses=(RoomClosed, RoomFull, TooManyChanges),
    )
    async def post(self, room: str) -> None:
        number = self.room_number(room)
        identity, wanted = await self.identity(), self.body(List)
        only = self.services.credentials.accounts_only
        rosters = self.services.rosters
        entries = await rosters.check(
            identity,
            number,
            wanted.text,
            role=wanted.role,
            accounts_only=only,
            in_turns=self.in_turns,
        )
        if not wanted.add:
            await self.write_list("entries", entries, _entry)
            return
        added = await rosters.add(identity, number, entries, unknown=wanted.unknown)
        shown = await self.in_turns(entries, _entry)
        self.write_json(ShownLines(entries=shown, added=added))


class NewRosterHandler(_ListHandler):
    """A list of people for a room that is to be made: POST checks it."""

    @Operation(
        "Check a list of people for a room that is to be made",
        who=Who.HOST_ROLE,
        body=List,
        answers={200: Answer("Each line.", ShownLines)},
        refuses=(TooManyChanges,),
    )
    async def post(self) -> None:
        identity, wanted = await self.identity(), self.body(List)
        only = self.services.credentials.accounts_only
        entries = await self.services.rosters.check(
            identity,
            None,
            wanted.text,
            role=wanted.role,
            accounts_only=only,
            in_turns=self.in_turns,
        )
        await self.write_list("entries", entries, _entry)


def _entry(entry: Entry) -> ShownLine:
    shown: ShownLine = {
        "line": entry.line,
        "written": entry.written,
        "state": entry.state,
        "role": entry.role,
    }
    if entry.user is not None:
        shown["user"] = entry.user
    if entry.name is not None:
        shown["name"] = entry.name
    if entry.why is not None:
        shown["why"] = entry.why
    return shown
