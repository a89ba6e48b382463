"""``/api/rooms/{room}/presence``: the members who are in a room now, for its members."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.domain.message import timestamp
from gateway.http.api import ApiHandler


class PresenceHandler(ApiHandler):
    """The list of members who are in a room now."""

    async def get(self, room: str) -> None:
        number = self.room_number(room)
        present = await self.services.rooms.present(await self.identity(), number)
        self.write_json(
            {
                "present": [
                    {
                        "user": attendee.user,
                        "role": attendee.role,
                        "since": timestamp(datetime.fromtimestamp(attendee.since, UTC)),
                    }
                    | ({} if attendee.name is None else {"name": attendee.name})
                    for attendee in present
                ]
            }
        )
