"""One client that follows a room's topic by server-sent events, from its answer's head to its
end."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from tornado.iostream import IOStream

from broker.protocol.websocket import CloseCode, Opcode
from broker.timing.tasks import Cancelled
from gateway.budget.cap import Lease
from gateway.domain.identity import ADMIN, HOST, Identity
from gateway.domain.journal import Entry, EntryKind, Visit
from gateway.domain.room import MemberRole
from gateway.errors import (
    ACCESS_ENDED,
    GatewayError,
    Internal,
    TokenExpired,
    TooLarge,
    TooSlow,
    outcome,
)
from gateway.live.client.connection_states import OPEN, TRANSITIONS, Input, State
from gateway.live.client.farewell import coming_back, note, note_end
from gateway.live.client.judge import ByHub
from gateway.live.client.registry import ConnectionState
from gateway.live.client.services import ConnectionServices
from gateway.live.event_stream import COMMENT, Framing, event
from gateway.live.hub.delivery import Delivery
from gateway.live.hub.fanout import Batch, Subscriber
from gateway.live.transport import Stalled, Transport
from gateway.observe.logs import connection as connection_in_logs
from gateway.rotation import share_key

logger = logging.getLogger(__name__)

#: Seconds without an event after which a comment is sent; clients are promised 15.
HEART_BEAT: Final = 14.0
#: Seconds after which a client that acknowledges or takes nothing is gone.
VANISHED: Final = 30.0
#: Seconds between two looks at a client that is behind.
_LOOK: Final = 1.0
#: Seconds that the end may take to leave; for a client that is behind; and for one whose access has
#: ended.
_LINGER: Final = 2.0
_LINGER_BEHIND: Final = 15.0
_LINGER_REVOKED: Final = 1.0
#: Bytes that a client may send behind its request: it has nothing to say.
_MOST_RECEIVED: Final = 4096
#: Milliseconds until a browser's EventSource comes back by itself: after a connection that broke
#: off; and after an end for which it need not come back, which only the page knows.
_RETRY: Final = 2_000
_RETRY_ENDED: Final = 60_000


class EventForm:
    """The form of deliveries in an event stream, one for all clients with the same framing.

    A member's message is an event ``message`` with its seq as ``id``, if it has one; what another
    producer has published is an event ``other``. What is not UTF-8 cannot be said here.
    """

    __slots__ = ("framing",)

    def __init__(self, framing: Framing) -> None:
        self.framing = framing

    def encode(self, delivery: Delivery) -> bytes:
        if delivery.opcode != Opcode.TEXT:
            return self.framing.frame(COMMENT)
        name = None if delivery.is_of_member else "other"
        return self.framing.frame(event(delivery.body, name=name, id=delivery.seq))


#: By whether the body is chunked.
_FORMS: Final = {chunked: EventForm(Framing(chunked)) for chunked in (False, True)}


@dataclass(frozen=True, slots=True)
class Answer:
    """The HTTP around the events: ``head`` of an answer that follows, ``refusal`` for the whole
    answer that says why not; ``chunked``: whether the body is."""

    head: bytes
    refusal: Callable[[GatewayError], bytes]
    chunked: bool


class _Following(Subscriber):
    """The subscription of one client, whose answer begins with the first messages."""

    __slots__ = ("_begin",)

    def __init__(self, client: EventFollower, form: EventForm) -> None:
        super().__init__(client, form)
        self._begin = client.begin

    def send(self, batch: Batch) -> None:
        self._begin()
        super().send(batch)


class EventFollower:
    """One client that follows a topic. It ends once, as :data:`TRANSITIONS` says.

    ``by`` is the judge's decision, made in this turn of the loop; ``place`` the one among the
    subscriptions to this topic, which is given back at the end. Nothing is answered until the topic
    has been joined, so that what hinders it is an HTTP status.
    """

    __slots__ = (
        "_account",
        "_answer",
        "_attends",
        "_by",
        "_deadline",
        "_ended",
        "_framing",
        "_gone",
        "_has_begun",
        "_joining",
        "_leave",
        "_loop",
        "_place",
        "_revoked",
        "_services",
        "_state",
        "_subscriber",
        "address",
        "browser",
        "due",
        "id",
        "identity",
        "since",
        "writer",
    )

    def __init__(  # noqa: PLR0913 - who follows what, and how that is answered
        self,
        stream: IOStream,
        services: ConnectionServices,
        *,
        id: str,
        address: str,
        identity: Identity,
        by: ByHub,
        place: Lease,
        answer: Answer,
        browser: str = "",
    ) -> None:
        form = _FORMS[answer.chunked]
        self.id = id
        self.address = address
        self.browser = browser
        self.identity: Identity | None = identity
        self.since = services.clock()
        self._services = services
        self._loop = asyncio.get_running_loop()
        self._framing = form.framing
        #: The transport that the hub delivers to.
        self.writer = Transport(
            stream,
            stall_timeout=services.limits.now.stall_timeout,
            poller=services.poller,
            rotation=services.rotation,
            share=services.rotation.share(share_key(identity.user, address)),
            ends=self._framing.ends,
        )
        self.writer.give_up_after(VANISHED)
        backlog, _ = services.bytes_in_hand
        self._account = self.writer.account = backlog.account(self)
        self._account.belongs_to(identity.payer)
        self._answer = answer
        self._by = by
        self._place = place
        self._subscriber = _Following(self, form)
        #: What takes the subscription back, once it was asked for.
        self._leave: Callable[[], None] | None = None
        self._joining: asyncio.Task[None] | None = None
        self._has_begun = self._revoked = False
        self._deadline = self._loop.time() + identity.expires_at - services.clock()
        self.due = min(self._deadline, self._loop.time() + HEART_BEAT)
        self._state = State.SERVING
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._attends = True
        services.routes.attendance.begin(self, by.right)

    @property
    def user(self) -> str | None:
        return self.identity.user if self.identity else None

    @property
    def node(self) -> str | None:
        """None: the hub serves it."""
        return None

    @property
    def is_open(self) -> bool:
        return self._state in OPEN

    @property
    def is_host(self) -> bool:
        """Whether the user is a host or an admin, of the system or in the room."""
        roles = self.identity.roles if self.identity else frozenset()
        return bool(roles & {HOST, ADMIN}) or self._by.right.role is MemberRole.HOST

    def snapshot(self) -> ConnectionState:
        """The facts about this connection, now."""
        writer, now = self.writer, self._services.clock()
        heard_at = writer.received_at
        if not writer.closed and writer.is_acknowledged:
            # Its system has answered the last thing that was sent.
            heard_at = max(heard_at, writer.sent_at)
        return ConnectionState(
            id=self.id,
            user=self.user,
            rooms=(self._by.stream.room,),
            address=self.address,
            since=self.since,
            node=None,
            frames_in=0,
            frames_out=writer.frames_out,
            bytes_in=writer.bytes_in,
            bytes_out=writer.bytes_out,
            backlog=writer.backlog,
            heard_at=now - (self._loop.time() - heard_at),
            expires_at=self.identity.expires_at if self.identity else None,
        )

    def visit(self) -> Visit:
        """The facts that the journal remembers of this connection at its end."""
        writer, room = self.writer, self._by.stream.room
        return Visit((room,), self.since, self.browser, writer.bytes_in, writer.bytes_out)

    async def run(self) -> None:
        """Serve the client until it is gone; everything it held is given back by then."""
        connection_in_logs.set(self.id)
        self._services.journal.add(
            Entry(
                at=self.since,
                kind=EntryKind.CONNECTION,
                code="admitted",
                detail="server-sent events",
                user=self.user,
                room=self._by.stream.room,
                address=self.address,
                connection=self.id,
                browser=self.browser,
                since=self.since,
            )
        )
        try:
            if self.is_open:
                self._services.ticker.add(self)
                self._joining = self._services.tasks.spawn(
                    self._join(), "server-sent events: joining", failed=self._failed
                )
                self.writer.attach(received=self._received, lost=self._lost)
            await self._ended
            await self._linger()
        finally:
            self._receive(Input.LATE)
            self._receive(Input.LOST)
            self._release()
            self.writer.close(reset=self._revoked or bool(self.writer.backlog))
            self._account.close()
            # They point back here, and such a ring would wait for the collector of garbage.
            self.writer.account = None
            del self._account, self._subscriber, self._leave, self._joining

    def begin(self) -> None:
        """Send the head of the answer, unless it was sent."""
        if not self._has_begun:
            self._has_begun = True
            self.writer.write(self._answer.head)

    def end(self, error: GatewayError | None) -> None:
        """Tell the client why, and give everything back: at once, once, from anywhere."""
        if self._receive(Input.END):
            self._say_goodbye(error)

    def cut_short(self, error: GatewayError) -> None:
        """End as :meth:`end` does, and drop what waits for the client."""
        if self._receive(Input.END):
            self.writer.drop()
            self._say_goodbye(error)

    def judge_again(self) -> None:
        """A membership has opened what it follows, no access rule."""

    def check(self, now: float) -> None:
        """Look at the end of the credentials and the heart-beat; called by the ticker."""
        if now >= self._deadline:
            self.end(TokenExpired("the token or login has ended: get a new one and come again"))
            return
        if self._has_begun and not self.writer.backlog and now >= self._beat_at:
            self.writer.write(self._framing.frame(COMMENT))
        self.due = min(self._deadline, max(self._beat_at, now + _LOOK))

    @property
    def _beat_at(self) -> float:
        return self.writer.sent_at + HEART_BEAT

    async def _join(self) -> None:
        hub, by = self._services.routes.hub, self._by
        self._leave = partial(hub.leave, by.stream, self._subscriber)
        self._subscriber.sees_hidden = partial(
            self._services.routes.attendance.sees_hidden, self, by.right
        )
        seq = await hub.join(by.stream, self._subscriber, resume_after=by.resume_after)
        logger.info("%s follows %s from seq %d on by server-sent events", self.user, by.stream, seq)
        self.begin()
        # A client that resumes has its place; by now it may be further on.
        id = seq if by.resume_after is None else None
        data = json.dumps({"seq": seq}).encode()
        self._write(event(data, name="joined", id=id, retry=_RETRY))

    def _failed(self, error: Exception) -> None:
        """The topic could not be joined, or not all that was missed could be sent."""
        match error:
            case GatewayError():
                self.end(error)
            case Stalled():
                self.end(TooSlow("messages were not read fast enough"))
            case Cancelled():
                self.end(Internal("the gateway has stopped to serve this"))
            case _:
                logger.error("a topic could not be joined; its client is sent away", exc_info=error)
                self.end(Internal("the gateway failed; its log says why"))

    def _received(self, data: bytes) -> None:
        """Drop what comes: nothing is asked for here any more."""
        if self.writer.bytes_in > _MOST_RECEIVED:
            self.end(TooLarge("nothing may be sent behind the request for an event stream"))

    def _lost(self) -> None:
        noted = not self.is_open
        self._receive(Input.LOST)
        if not noted:
            logger.info("the client is gone")
            self._note_end("gone", "the connection broke off", CloseCode.ABNORMAL)

    def _note_end(self, code: str, detail: str, status: int) -> None:
        note_end(self, code, detail, status, events=self._services.events)

    def _receive(self, received: Input) -> bool:
        """Go to the next state; False if nothing changes."""
        following = TRANSITIONS.get((self._state, received))
        if following is None:
            return False
        self._state = following
        if not self._ended.done():
            self._ended.set_result(None)
        if following is State.GONE and not self._gone.done():
            self._gone.set_result(None)
        return True

    def _say_goodbye(self, error: GatewayError | None) -> None:
        self._release()
        if error is None:
            self._note_end("left", "it was asked for", CloseCode.NORMAL)
            self.writer.write(self._framing.end)
            return
        note(self, error, self._services.events)
        if isinstance(error, ACCESS_ENDED):
            self._revoked = True
            self.writer.drop()
        if self._has_begun:
            self._write(self._last_event(error), self._framing.end)
        else:
            self.writer.write(self._answer.refusal(error))

    def _last_event(self, error: GatewayError) -> bytes:
        """The event ``end``. Its ``retry`` says in how many milliseconds the client is to come
        back; null: not without having changed something."""
        again = coming_back(error, self._services.rng, or_resumes=True)
        told = {"code": outcome(error).code, "reason": error.detail, "retry": again}
        retry = _RETRY_ENDED if again is None else again
        return event(json.dumps(told, ensure_ascii=False).encode(), name="end", retry=retry)

    def _write(self, event: bytes, end: bytes = b"") -> None:
        self.writer.write(self._framing.frame(event) + end, frames=1)

    async def _linger(self) -> None:
        """Let the client take what it was told, in a time that depends on why."""
        seconds = _LINGER_BEHIND if self.writer.backlog else _LINGER
        with suppress(TimeoutError, Stalled):
            async with asyncio.timeout(_LINGER_REVOKED if self._revoked else seconds):
                # What the kernel holds for somebody whose access has ended is not waited for.
                await (self._gone if self._revoked else self.writer.drained())

    def _release(self) -> None:
        """Give everything back; any number of times."""
        self._services.ticker.remove(self)
        if self._joining is not None:
            self._joining.cancel()
        if self._leave is not None:
            self._leave()
            self._leave = None
        if self._attends:
            self._attends = False
            self._services.routes.attendance.end(self, self._by.right)
        self._place.give_back()
