"""``/api/rooms/{room}/roster`` and ``/api/roster``: lists of people, checked before they are
added."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from gateway.domain.room import MemberRole
from gateway.domain.roster import MOST_BYTES, MOST_CHARACTERS
from gateway.http.api import ApiHandler
from gateway.http.body import Body
from gateway.rosters import Entry


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


class RosterHandler(_ListHandler):
    """A list of people for a room: POST checks it, and adds them."""

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
        self.write_json({"entries": await self.in_turns(entries, _entry), "added": added})


class NewRosterHandler(_ListHandler):
    """A list of people for a room that is to be made: POST checks it."""

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


def _entry(entry: Entry) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "line": entry.line,
        "written": entry.written,
        "state": entry.state,
        "role": entry.role,
    }
    for name in ("user", "name", "why"):
        if (value := getattr(entry, name)) is not None:
            shown[name] = value
    return shown
