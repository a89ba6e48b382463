"""``/api/admin/rooms/{room}``: a room as operators see it; none of what was said there."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gateway.domain.message import timestamp
from gateway.http.handlers.admin import AdminHandler


class AdminRoomHandler(AdminHandler):
    """One room: its members and streams, its private queue, its open polls."""

    async def get(self, room: str) -> None:
        shown = await self.services.admin.rooms.show(self.room_number(room))
        facts = shown.facts
        queue: dict[str, Any] = {"number": facts.queue, "due": facts.queue_due}
        if shown.queue is not None:
            queue |= {"messages": shown.queue.messages, "consumers": shown.queue.consumers}
        if shown.queue_problem is not None:
            queue["problem"] = shown.queue_problem
        self.write_json(
            {
                "title": facts.title,
                "created_at": timestamp(facts.created_at),
                "closed_at": None if facts.closed_at is None else timestamp(facts.closed_at),
                "members": facts.members,
                "hosts": facts.hosts,
                "streams": {name: asdict(each) for name, each in facts.streams.items()},
                "open_polls": facts.open_polls,
                "private_queue": queue,
            }
        )
