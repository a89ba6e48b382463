"""``/api/admin/rooms/{room}``: a room as operators see it; none of what was said there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import NotRequired

from typing_extensions import TypedDict

from gateway.domain.message import timestamp
from gateway.domain.room_facts import StreamFacts
from gateway.errors import UnknownRoom
from gateway.http.contract.operation import Answer, Operation, Who
from gateway.http.contract.shapes import Moment
from gateway.http.handlers.admin import AdminHandler


class ShownQueue(TypedDict):
    """The private queue of a room. ``number``: its own; ``due``: work that is due on it;
    ``problem``: the reason why RabbitMQ has not said how full it is."""

    number: int
    due: str | None
    messages: NotRequired[int]
    consumers: NotRequired[int]
    problem: NotRequired[str]


class ShownFacts(TypedDict):
    """A room for operators. ``members``: their number; ``hosts``: some of them; ``streams``: by
    audience; ``open_polls``: the keys of those that take votes."""

    title: str
    created_at: Moment
    closed_at: Moment | None
    members: int
    hosts: Sequence[str]
    streams: Mapping[str, StreamFacts]
    open_polls: Sequence[str]
    private_queue: ShownQueue


class AdminRoomHandler(AdminHandler):
    """One room: its members and streams, its private queue, its open polls."""

    @Operation(
        "Show a room to operators, without what was said in it",
        who=Who.OBSERVER,
        answers={200: Answer("The room.", ShownFacts)},
        refuses=(UnknownRoom,),
    )
    async def get(self, room: str) -> None:
        shown = await self.services.admin.rooms.show(self.room_number(room))
        facts = shown.facts
        queue: ShownQueue = {"number": facts.queue, "due": facts.queue_due}
        if shown.queue is not None:
            queue["messages"] = shown.queue.messages
            queue["consumers"] = shown.queue.consumers
        if shown.queue_problem is not None:
            queue["problem"] = shown.queue_problem
        answer: ShownFacts = {
            "title": facts.title,
            "created_at": timestamp(facts.created_at),
            "closed_at": None if facts.closed_at is None else timestamp(facts.closed_at),
            "members": facts.members,
            "hosts": facts.hosts,
            "streams": facts.streams,
            "open_polls": facts.open_polls,
            "private_queue": queue,
        }
        shown_streams = {name: asdict(each) for name, each in facts.streams.items()}
        self.write_json({**answer, "streams": shown_streams})
