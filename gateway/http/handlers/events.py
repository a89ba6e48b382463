"""``/api/rooms/{room}/events``: a room's topic as server-sent events, where WebSockets are blocked.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import json
from functools import partial
from http import HTTPStatus
from typing import Final

from tornado.iostream import StreamClosedError

from broker.protocol.numerals import natural
from broker.topology import Audience, Stream
from gateway.budget.rank import rank_of
from gateway.errors import (
    Draining,
    GatewayError,
    Invalid,
    NotKept,
    OriginRefused,
    TooManyCopies,
    TooManyOfUser,
    TooManyUpgrades,
)
from gateway.http import body, problem
from gateway.http.api import ApiHandler
from gateway.http.contract import operation as contract
from gateway.http.contract.operation import Operation, Who
from gateway.http.contract.shapes import After, OfAudience, RoomIdentity
from gateway.http.services import HandlerServices
from gateway.http.session_cookie import device_of
from gateway.live.client.event_follower import Answer, EventFollower
from gateway.live.client.services import ConnectionServices
from gateway.live.destinations import RoomTopic
from gateway.live.event_stream import MEDIA_TYPE
from gateway.observe import logs

#: What ``Sec-Fetch-Site`` says of pages of other origins.
_ELSEWHERE: Final = frozenset({"cross-site", "same-site"})
_AFTER: Final = "must be the last seq that you have, or 0, in plain digits"


class Following(body.Body):
    """The query of an event stream; its values come as text."""

    audience: OfAudience = Audience.PUBLIC
    after: After | None = None
    identity: RoomIdentity | None = None


class EventsHandler(ApiHandler):
    """The decisions before a client follows a topic; what it follows is the hub's, as for a
    WebSocket. Whatever cannot be done is answered by a problem document with its status."""

    def initialize(  # type: ignore[override]  # it needs more
        self, services: HandlerServices, live: ConnectionServices
    ) -> None:
        super().initialize(services)
        self._live = live

    @Operation(
        "Follow the room by server-sent events, where WebSockets are blocked",
        who=Who.MEMBER,
        query=Following,
        headers=("Last-Event-ID",),
        answers={
            200: contract.Answer(
                "Events without an end: `message`, whose id is its seq; `other`; `end` with the"
                " reason.",
                media_type=MEDIA_TYPE,
            )
        },
        refuses=(Draining, NotKept, TooManyCopies, TooManyOfUser, TooManyUpgrades),
    )
    async def get(self, room: str) -> None:
        stream_number = self.room_number(room)
        self._check_page()
        admission, routes = self._live.admission, self._live.routes
        address = self.caller.address
        known = self.services.credentials.verified_lately(self.request.headers)
        # Others at the address must not use up what somebody needs who is known.
        admission.upgrades.take(None if known else address, known)
        identity = await self.identity()
        query = self.query(Following)
        resume_after = self._last_event_id()
        by = await routes.judge.follow(
            identity,
            Stream(query.audience, stream_number),
            resume_after=query.after if resume_after is None else resume_after,
            identity=query.identity,
        )
        self.services.drain.check()
        admission.ended.check(identity)
        admission.registry.check_capacity(
            address=address, user=identity.user, rank=rank_of(identity, by.right.role)
        )
        id, topic = logs.connection.get(), RoomTopic(by.stream)
        place = routes.copies.take((id, topic), (identity.payer, topic))
        answer = self._answer()
        try:
            follower = EventFollower(
                self.hand_over(),
                self._live,
                id=id,
                address=address,
                identity=identity,
                by=by,
                place=place,
                answer=answer,
                browser=device_of(self.request),
            )
        except StreamClosedError:
            place.give_back()
            return
        admission.registry.serve(follower, address=address, user=identity.user)

    def _check_page(self) -> None:
        """A page of another origin could not read it, but could keep it open with the visitor's
        cookie. Raises :class:`OriginRefused`."""
        origin = self.request.headers.get("Origin")
        self.services.origins.check(origin)
        # A page that asks without CORS has no Origin; where it is from, browsers say all the same
        # (https://www.w3.org/TR/fetch-metadata/).
        site = self.request.headers.get("Sec-Fetch-Site")
        if origin is None and site in _ELSEWHERE:
            raise OriginRefused("a page of another origin may follow a room only by CORS")

    def _last_event_id(self) -> int | None:
        """The place of a client that comes back: it counts more than that of the URL, with which an
        EventSource began. Raises :class:`Invalid`."""
        given = self.request.headers.get("Last-Event-ID", "").strip()
        if not given:
            return None
        if (seq := natural(given)) is None:
            raise Invalid(f"Last-Event-ID: {_AFTER}")
        return seq

    def _answer(self) -> Answer:
        """The answer's head, with what every answer of the API has."""
        # RFC 9112, section 7.1: an older client does not know chunks.
        chunked = self.request.version == "HTTP/1.1"
        common = [
            (name, value)
            for name, value in self._headers.get_all()
            if name not in ("Content-Type", "Cache-Control")
        ]
        head = [
            *common,
            ("Content-Type", MEDIA_TYPE),
            # Nobody on the way may keep, compress or gather it.
            ("Cache-Control", "no-store, no-transform"),
            ("X-Accel-Buffering", "no"),
            ("Connection", "close"),
        ]
        if chunked:
            head.append(("Transfer-Encoding", "chunked"))
        return Answer(_head(200, head), partial(_refusal, common), chunked)


def _head(status: int, headers: list[tuple[str, str]]) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _refusal(common: list[tuple[str, str]], error: GatewayError) -> bytes:
    """The whole answer to a client that cannot follow."""
    document = problem.document(error)
    text = json.dumps(document, ensure_ascii=False).encode()
    headers = [
        *common,
        *problem.headers(error).items(),
        ("Cache-Control", "no-store"),
        ("Content-Length", str(len(text))),
        ("Connection", "close"),
    ]
    return _head(document["status"], headers) + text
