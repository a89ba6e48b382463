"""``/api/rooms/{room}/presence``: the members who are in a room now, for its members."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NotRequired

from typing_extensions import TypedDict

from gateway.domain.message import timestamp
from gateway.domain.room import Attendee, MemberRole
from gateway.http.api import ApiHandler
from gateway.http.contract.operation import Answer, Operation, Who
from gateway.http.contract.shapes import Moment


class ShownAttendee(TypedDict):
    """A member who is in the room now."""

    user: str
    role: MemberRole
    since: Moment
    name: NotRequired[str]


class ShownAttendees(TypedDict):
    """Those who are in a room now, sorted by user."""

    present: list[ShownAttendee]


class PresenceHandler(ApiHandler):
    """The list of members who are in a room now."""

    @Operation(
        "List those who are in the room now",
        who=Who.MEMBER,
        answers={200: Answer("Who is there.", ShownAttendees)},
    )
    async def get(self, room: str) -> None:
        number = self.room_number(room)
        present = await self.services.rooms.present(await self.identity(), number)
        await self.write_list("present", present, _as_json)


def _as_json(attendee: Attendee) -> ShownAttendee:
    shown: ShownAttendee = {
        "user": attendee.user,
        "role": attendee.role,
        "since": timestamp(datetime.fromtimestamp(attendee.since, UTC)),
    }
    if attendee.name is not None:
        shown["name"] = attendee.name
    return shown
