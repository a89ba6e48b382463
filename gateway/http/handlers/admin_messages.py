"""``/api/admin/messages/{id}``: the way of a message, as operators see it; not what was said."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NotRequired

from typing_extensions import TypedDict

from gateway.admin.traces import Passage, Trace
from gateway.domain.message import timestamp
from gateway.errors import Invalid
from gateway.http.contract.operation import Answer, Operation, Who
from gateway.http.contract.shapes import Moment
from gateway.http.handlers.admin import AdminHandler
from gateway.observe.posts import Post

#: Characters of an id.
_LONGEST = 100


class ShownPost(TypedDict):
    """A post of the message. ``request``: the ``X-Request-Id``, of a WebSocket's its handshake's;
    ``confirmed``: RabbitMQ had confirmed it when it was answered."""

    request: str
    stored_at: Moment
    answered_at: NotRequired[Moment]
    confirmed: bool


class ShownPassage(TypedDict):
    """The message's passage at one gateway: the posts that brought it there, as long as they are
    remembered; ``delivered``: the subscribers there have been given it (absent: nobody follows the
    topic)."""

    gateway: str
    posts: list[ShownPost]
    subscribers: int
    delivered: NotRequired[bool]


class ShownTrace(TypedDict):
    """A stored message. ``sender`` is absent if it was deleted by request; ``bytes``: of its body;
    ``published``: RabbitMQ has confirmed it."""

    id: str
    room: int
    audience: str
    seq: int
    sender: NotRequired[str]
    type: str
    sent_at: Moment
    bytes: int
    published: bool
    gateways: list[ShownPassage]


class ShownTraces(TypedDict):
    """The messages that were found, and the gateways that have not answered."""

    messages: list[ShownTrace]
    missing: dict[str, str]


class AdminMessageHandler(AdminHandler):
    """The way of the messages with one id."""

    @Operation(
        "Show the way of a message to operators, without what was said",
        who=Who.OBSERVER,
        answers={200: Answer("What was found; it may be nothing.", ShownTraces)},
        more="The id is the message's, the `X-Request-Id` of its POST or of a WebSocket's "
        "handshake (the last twenty messages), or its place in the stream, `public.42/17`.",
    )
    async def get(self, message: str) -> None:
        if len(message) > _LONGEST or not message.isprintable():
            raise Invalid(f"the id must have at most {_LONGEST} printable characters")
        traces, missing = await self.services.admin.traces.find(message.strip())
        answer: ShownTraces = {
            "messages": [_as_json(trace) for trace in traces],
            "missing": dict(missing),
        }
        self.write_json(answer)


def _as_json(trace: Trace) -> ShownTrace:
    message = trace.message
    shown: ShownTrace = {
        "id": str(message.id),
        "room": message.stream.room,
        "audience": message.stream.audience,
        "seq": message.seq,
        "type": message.type,
        "sent_at": timestamp(message.sent_at),
        "bytes": message.size,
        "published": message.published,
        "gateways": [_of_gateway(name, passage) for name, passage in trace.passages.items()],
    }
    if message.sender:
        shown["sender"] = message.sender
    return shown


def _of_gateway(name: str, passage: Passage) -> ShownPassage:
    shown: ShownPassage = {
        "gateway": name,
        "posts": [_post(post) for post in passage.posts],
        "subscribers": passage.subscribers,
    }
    if passage.delivered is not None:
        shown["delivered"] = passage.delivered
    return shown


def _post(post: Post) -> ShownPost:
    shown: ShownPost = {
        "request": post.request,
        "stored_at": _moment(post.stored_at),
        "confirmed": post.confirmed,
    }
    if post.answered_at is not None:
        shown["answered_at"] = _moment(post.answered_at)
    return shown


def _moment(at: float) -> str:
    return timestamp(datetime.fromtimestamp(at, UTC))
