"""``/api/rooms/{room}/state``: the room's kept state, and what has changed of it."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from broker.topology import Audience, Stream
from gateway.errors import ReadsBusy, TooManyReads, TooMuchRead
from gateway.http import body
from gateway.http.api import ApiHandler
from gateway.http.contract.operation import Answer, Operation, Who
from gateway.http.contract.shapes import After, AtMost, OfAudience, RoomIdentity, SaidMessage
from gateway.store.records import StatePage


class StateQuery(body.Body):
    """The query; its values come as text."""

    audience: OfAudience = Audience.PUBLIC
    after: After = 0
    limit: AtMost | None = None
    whole: Annotated[
        Literal["true"] | None,
        Field(description="A further page, of a reader that has begun from nothing."),
    ] = None
    identity: RoomIdentity | None = None


class ShownState(TypedDict):
    """A page of the state, in the order of ``seq``: ask for the next one after ``seq``, until
    ``complete``. ``whole``: it begins from nothing, so forget what is kept."""

    state: list[SaidMessage]
    seq: int
    whole: bool
    complete: bool


class StateHandler(ApiHandler):
    """The kept state of a room."""

    @Operation(
        "Read the kept state, or what has changed of it after a seq",
        who=Who.MEMBER,
        query=StateQuery,
        answers={200: Answer("A page.", ShownState)},
        refuses=(TooManyReads, TooMuchRead, ReadsBusy),
    )
    async def get(self, room: str) -> None:
        number = self.room_number(room)
        identity = await self.identity()
        query = self.query(StateQuery)
        await self.services.rooms.recognise(identity, number, query.identity)
        page = await self.services.state.page(
            identity,
            Stream(query.audience, number),
            after=query.after,
            limit=query.limit,
            goes_on=query.whole is not None,
        )
        self.set_header("Content-Type", body.MEDIA_TYPE)
        self.finish(_page_json(page))


def _page_json(page: StatePage) -> bytes:
    """A page of the state as JSON; see :class:`StatePage`."""
    rest = json.dumps({"seq": page.seq, "whole": page.whole, "complete": page.complete})
    messages = b",".join(each.encode() for each in page.messages)
    return b'{"state":[%s],%s' % (messages, rest[1:].encode())
