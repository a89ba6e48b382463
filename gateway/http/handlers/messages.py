"""``/api/rooms/{room}/messages``: posting a message, and the sync."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, Literal, NotRequired
from uuid import UUID

from pydantic import Field, field_validator
from typing_extensions import TypedDict

from broker.topology import Audience, Stream
from gateway.domain.message import Importance, timestamp
from gateway.errors import (
    ApprovalNeeded,
    BadBody,
    BrokerUnavailable,
    ChatOff,
    HistoryFull,
    IdReused,
    Invalid,
    KeyRefused,
    Muted,
    NotOpen,
    NotWaiting,
    PostsBusy,
    PublishingBehind,
    RateLimited,
    ReadsBusy,
    RoomBusy,
    RoomClosed,
    SlowMode,
    StateFull,
    TooManyBytes,
    TooManyKeys,
    TooManyPosts,
    TooManyReads,
    TooManyWaiting,
    TooMuchRead,
)
from gateway.http import body
from gateway.http.api import ApiHandler
from gateway.http.contract.operation import Answer, Operation, Who
from gateway.http.contract.shapes import (
    After,
    AtMost,
    Moment,
    OfAudience,
    RoomIdentity,
    SaidMessage,
    Seq,
)
from gateway.messages.history_reads import Excerpt
from gateway.messages.keeping import Keeping
from gateway.messages.pipeline import Receipt

#: The content type of an answer, unless it is set otherwise.
_DEFAULT_TYPE = "message"
#: The most types in one sync: each costs a query of its own.
_MOST_TYPES: Final = 20


class NewMessage(body.Body):
    """The body of a new message."""

    audience: OfAudience = Audience.PUBLIC
    importance: Annotated[
        Importance,
        Field(
            strict=False,
            description="instant: neither stored nor numbered; it may be dropped.",
        ),
    ] = Importance.GUARANTEED
    type: Annotated[str, Field(description="The application's own word for it.")] = _DEFAULT_TYPE
    body: Annotated[Any, Field(description="Any JSON.")]
    id: (
        Annotated[UUID, Field(strict=False, description="Yours: the same again is stored once.")]
        | None
    ) = None
    keep: Annotated[str | None, Field(description="Its key in the room's kept state.")] = None
    of: Annotated[str | None, Field(description="Whose entry a host writes.")] = None
    only_while: Annotated[
        str | None,
        Field(alias="while", description="It is stored only while something stands there."),
    ] = None


class Sync(body.Body):
    """The query of a sync; its values come as text."""

    audience: OfAudience = Audience.PUBLIC
    after: After = 0
    limit: AtMost | None = None
    types: (
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=1000,
                description="Types, with commas between them: only messages of these are returned.",
            ),
        ]
        | None
    ) = None
    identity: RoomIdentity | None = None

    @field_validator("types")
    @classmethod
    def _not_too_many(cls, value: str | None) -> str | None:
        if value is not None and value.count(",") >= _MOST_TYPES:
            raise ValueError(f"must name at most {_MOST_TYPES} types")
        return value


class ShownReceipt(TypedDict):
    """The fate of a post. ``seq`` null: an instant message has no number; ``pending``: it waits
    for a host's approval."""

    id: Annotated[str, Field(json_schema_extra={"format": "uuid"})]
    seq: Seq | None
    sent_at: Moment
    published: bool
    pending: NotRequired[Literal[True]]


#: A name of a field is a word of Python.
MessagePage = TypedDict(
    "MessagePage",
    {
        "messages": list[SaidMessage],
        "head": Annotated[int, Field(description="The seq of the newest message.")],
        "complete": Annotated[bool, Field(description="Nothing after `after` is lost.")],
        "from": NotRequired[Annotated[int, Field(description="The first seq that is kept.")]],
        "next": NotRequired[
            Annotated[int, Field(description="Ask again with this as `after`: there is more.")]
        ],
    },
)

_POSTING: Final = (
    *(RoomClosed, Muted, ChatOff, ApprovalNeeded, KeyRefused, BadBody, IdReused),
    *(
        HistoryFull,
        StateFull,
        NotOpen,
        TooManyKeys,
        NotWaiting,
        SlowMode,
        TooManyWaiting,
        RateLimited,
    ),
    *(TooManyPosts, TooManyBytes, PostsBusy, RoomBusy, PublishingBehind, BrokerUnavailable),
)


class Posting(body.Body):
    """The query of a post."""

    identity: RoomIdentity | None = None


class MessagesHandler(ApiHandler):
    """The messages of a room: POST sends one, GET syncs."""

    @property
    def most_body(self) -> int:
        """As much as was ever taken: a message that was may come again, for its first answer. The
        pipeline refuses any other that is too large now."""
        return self.services.limits.largest_body

    @Operation(
        "Post a message: it is stored, numbered and published",
        who=Who.MEMBER,
        body=NewMessage,
        query=Posting,
        headers=("Idempotency-Key",),
        answers={
            201: Answer("Stored, and confirmed by RabbitMQ.", ShownReceipt),
            202: Answer(
                "Stored; it is published later, or once a host has approved it.", ShownReceipt
            ),
        },
        refuses=_POSTING,
        more="The same id again gets the same answer, and nothing is stored twice.",
    )
    async def post(self, room: str) -> None:
        number = self.room_number(room)
        identity = await self.identity()
        wanted = self.body(NewMessage)
        id, known = self._message_id(wanted.id), self.query(Posting).identity
        await self.services.rooms.recognise(identity, number, known)
        receipt = await self.services.intake.post(
            identity,
            Stream(wanted.audience, number),
            id=id,
            type=wanted.type,
            importance=wanted.importance,
            body=wanted.body,
            kept=Keeping(wanted.keep, wanted.of, wanted.only_while),
        )
        self.write_json(_receipt_json(receipt), status=201 if receipt.published else 202)

    @Operation(
        "Read what was said after a seq",
        who=Who.MEMBER,
        query=Sync,
        answers={200: Answer("A page.", MessagePage)},
        refuses=(TooManyReads, TooMuchRead, ReadsBusy),
        more="Of the private audience participants get what they have said themselves.",
    )
    async def get(self, room: str) -> None:
        number = self.room_number(room)
        identity = await self.identity()
        query = self.query(Sync)
        await self.services.rooms.recognise(identity, number, query.identity)
        excerpt = await self.services.history.page(
            identity,
            Stream(query.audience, number),
            after=query.after,
            limit=query.limit,
            types=None if query.types is None else query.types.split(","),
        )
        self.set_header("Content-Type", body.MEDIA_TYPE)
        self.finish(_page_json(excerpt))

    def _message_id(self, in_body: UUID | None) -> UUID | None:
        """The id that the client chose, if it did. Raises :class:`Invalid`."""
        header = self.request.headers.get("Idempotency-Key")
        if header is None:
            return in_body
        try:
            # The standard's draft writes the key as a quoted string; most clients do not.
            in_header = UUID(header.strip().strip('"'))
        except ValueError:
            raise Invalid("Idempotency-Key: must be a UUID") from None
        if in_body not in (None, in_header):
            raise Invalid("id and Idempotency-Key differ; give only one of them")
        return in_header


def _receipt_json(receipt: Receipt) -> ShownReceipt:
    shown: ShownReceipt = {
        "id": str(receipt.message.id),
        "seq": receipt.message.seq,
        "sent_at": timestamp(receipt.message.sent_at),
        "published": receipt.published,
    }
    if receipt.waits:
        shown["pending"] = True
    return shown


def _page_json(excerpt: Excerpt) -> bytes:
    """A page of a sync as JSON. ``complete``: nothing after ``after`` is lost; else ``from`` is the
    first seq still kept.

    ``next``: ask again with this as ``after``, because there may be more; without it this is all.
    """
    page = excerpt.page
    answer: dict[str, Any] = {"head": page.head, "complete": excerpt.complete}
    if not excerpt.complete:
        answer["from"] = page.first
    if excerpt.next is not None:
        answer["next"] = excerpt.next
    return b'{"messages":[%s],%s' % (b",".join(page.messages), json.dumps(answer)[1:].encode())
