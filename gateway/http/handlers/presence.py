"""``/api/rooms/{room}/presence``: the members who are in a room now, for its members."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gateway.domain.message import timestamp
from gateway.domain.room import Attendee
from gateway.http.api import ApiHandler


class PresenceHandler(ApiHandler):
    """The list of members who are in a room now."""

    async def get(self, room: str) -> None:
        number = self.room_number(room)
        present = await self.services.rooms.present(await self.identity(), number)
        await self.write_list("present", present, _as_json)


def _as_json(attendee: Attendee) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "user": attendee.user,
        "role": attendee.role,
        "since": timestamp(datetime.fromtimestamp(attendee.since, UTC)),
    }
    if attendee.name is not None:
        shown["name"] = attendee.name
    return shown
