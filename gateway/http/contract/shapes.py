"""Shapes of JSON that several answers have. mypy holds the code that makes them to it."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from broker.topology import Audience
from gateway.domain.room import MemberRole
from gateway.store.values import MAX_NUMBER

#: RFC 3339, UTC.
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Seq = Annotated[int, Field(ge=1)]
#: A room's or a message's number in a request.
Number = Annotated[int, Field(ge=1, le=MAX_NUMBER)]

#: Parts of queries, which come as text.
OfAudience = Annotated[
    Audience, Field(strict=False, description="To everyone in the room, or to its hosts alone.")
]
After = Annotated[
    int,
    Field(strict=False, ge=0, le=MAX_NUMBER, description="The last seq that you have; 0: none."),
]
AtMost = Annotated[int, Field(strict=False, ge=1, description="Messages of one page, at most.")]
RoomIdentity = Annotated[
    str,
    Field(
        max_length=64,
        description="The room's `identity` as you know it: that of another one is refused.",
    ),
]


class Problem(TypedDict):
    """Why a request was refused: problem details of RFC 9457, with a stable ``code``."""

    type: Annotated[str, Field(pattern="^urn:interact:problem:")]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: Annotated[str, Field(description="For people: what is wrong, and what would be right.")]
    code: Annotated[str, Field(description="For programs. It stays the same for ever.")]


class SaidMessage(TypedDict):
    """A message of a room: the same JSON in the history, in a MESSAGE frame, in an event and in
    AMQP."""

    id: Annotated[str, Field(json_schema_extra={"format": "uuid"})]
    room: int
    audience: Audience
    seq: Annotated[Seq | None, Field(description="null: an instant message, which has no number.")]
    sender: Annotated[str, Field(description="Empty: the gateway's own.")]
    name: NotRequired[Annotated[str, Field(description="Shown beside the sender's name.")]]
    role: Annotated[MemberRole | None, Field(description="The sender's, when it was said.")]
    sent_at: Moment
    type: str
    keep: NotRequired[Annotated[str, Field(description="Its key in the room's kept state.")]]
    of: NotRequired[Annotated[str, Field(description="Whose entry it is, if a host wrote it.")]]
    place: NotRequired[
        Annotated[int, Field(description="The seq of the message that waited for approval.")]
    ]
    body: Any


class Identified(TypedDict):
    """The user of a request. ``guest_of``: the only room of a guest."""

    user: str
    roles: list[str]
    expires_at: Moment
    name: NotRequired[str]
    guest_of: NotRequired[int]
