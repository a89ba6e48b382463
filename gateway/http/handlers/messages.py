"""``/api/rooms/{room}/messages``: posting a message, and the sync."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field, field_validator

from broker.topology import Audience, Stream
from gateway.domain.message import Importance, timestamp
from gateway.errors import Invalid
from gateway.http import body
from gateway.http.api import ApiHandler
from gateway.messages.history_reads import Excerpt
from gateway.messages.keeping import Keeping
from gateway.messages.pipeline import Receipt

#: The content type of an answer, unless it is set otherwise.
_DEFAULT_TYPE = "message"
#: The most types in one sync: each costs a query of its own.
_MOST_TYPES: Final = 20


class NewMessage(body.Body):
    """The body of a new message."""

    audience: Annotated[Audience, Field(strict=False)] = Audience.PUBLIC
    importance: Annotated[Importance, Field(strict=False)] = Importance.GUARANTEED
    type: str = _DEFAULT_TYPE
    body: Any
    id: Annotated[UUID, Field(strict=False)] | None = None
    keep: str | None = None
    of: str | None = None
    only_while: Annotated[str | None, Field(alias="while")] = None


class Sync(body.Body):
    """The query of a sync; its values come as text."""

    audience: Annotated[Audience, Field(strict=False)] = Audience.PUBLIC
    after: Annotated[int, Field(strict=False, ge=0, le=2**63 - 1)] = 0
    limit: Annotated[int, Field(strict=False, ge=1)] | None = None
    #: Types, separated by commas: only messages of these are returned.
    types: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    #: The room's, as the client knows it.
    identity: Annotated[str, Field(max_length=64)] | None = None

    @field_validator("types")
    @classmethod
    def _not_too_many(cls, value: str | None) -> str | None:
        if value is not None and value.count(",") >= _MOST_TYPES:
            raise ValueError(f"must name at most {_MOST_TYPES} types")
        return value


class MessagesHandler(ApiHandler):
    """The messages of a room: POST sends one, GET syncs."""

    @property
    def most_body(self) -> int:
        """As much as was ever taken: a message that was may come again, for its first answer. The
        pipeline refuses any other that is too large now."""
        return self.services.limits.largest_body

    async def post(self, room: str) -> None:
        number = self.room_number(room)
        identity = await self.identity()
        wanted = self.body(NewMessage)
        known = self.get_query_argument("identity", None)
        await self.services.rooms.recognise(identity, number, known)
        receipt = await self.services.intake.post(
            identity,
            Stream(wanted.audience, number),
            id=self._message_id(wanted.id),
            type=wanted.type,
            importance=wanted.importance,
            body=wanted.body,
            kept=Keeping(wanted.keep, wanted.of, wanted.only_while),
        )
        self.write_json(_receipt_json(receipt), status=201 if receipt.published else 202)

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


def _receipt_json(receipt: Receipt) -> dict[str, Any]:
    return {
        "id": str(receipt.message.id),
        "seq": receipt.message.seq,
        "sent_at": timestamp(receipt.message.sent_at),
        "published": receipt.published,
        **({"pending": True} if receipt.waits else {}),
    }


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
