"""``/api/admin/…``: the dashboard's data for admins and observers, and its actions for admins."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, NotRequired, Self

from pydantic import AfterValidator, Field, model_validator
from tornado.iostream import StreamClosedError
from typing_extensions import TypedDict

from gateway.admin.connections import Key, Query, Row, Sort
from gateway.admin.dashboard import Viewer
from gateway.admin.gateways import Done
from gateway.admin.history import Sample
from gateway.admin.orders import AdminAction, Order
from gateway.domain.erasure import Erasure
from gateway.domain.identity import Identity
from gateway.domain.message import timestamp
from gateway.domain.revocation import LONGEST_REASON, Revocation, Target, listed
from gateway.errors import (
    Invalid,
    NotKeptOut,
    RevocationsFull,
    TooManyDashboards,
    UnknownGateway,
    UnknownNode,
    UnknownRoom,
)
from gateway.http.api import ApiHandler
from gateway.http.body import Body, parse
from gateway.http.contract.operation import Answer, Operation, Who
from gateway.http.contract.shapes import Moment, Number
from gateway.http.names import AnyUserName

_Id = Annotated[str, Field(min_length=1, max_length=100)]


_DONE: Final = {200: Answer("What each gateway has done.", Done)}


class ShownConnection(TypedDict):
    """A client's connection; frames are STOMP's, bytes WebSocket's. ``backlog``: bytes that the
    client has not taken."""

    gateway: str
    id: str
    user: str | None
    rooms: list[int]
    address: str
    since: Moment
    node: str | None
    frames_in: int
    frames_out: int
    bytes_in: int
    bytes_out: int
    backlog: int
    heard_at: Moment | None
    expires_at: Moment | None


class ShownConnections(TypedDict):
    """A page of connections. ``missing``: the gateways that did not answer, and why; ``next``: ask
    again with this as ``after``."""

    at: Moment
    connections: list[ShownConnection]
    total: int
    matching: int
    missing: dict[str, str]
    next: NotRequired[str]


class ShownRevocation(TypedDict):
    """An entry of the revocation list: of a user, a token (``jti``) or a subject (``sub``).
    ``until``: kept out until then."""

    user: NotRequired[str]
    jti: NotRequired[str]
    sub: NotRequired[str]
    since: Moment
    until: Moment | None
    reason: str
    by: str | None


class ShownRevocations(TypedDict):
    """The revocation list."""

    revocations: list[ShownRevocation]


class ShownErasure(TypedDict):
    """A deletion by request, and how far it is."""

    id: int
    room: int | None
    user: str | None
    by: str
    reason: str
    ordered_at: Moment
    done_at: Moment | None
    rooms: int
    messages: int
    stays: int


class ShownErasures(TypedDict):
    """The record of what was deleted by request."""

    erasures: list[ShownErasure]


class AdminHandler(ApiHandler):
    """The base of these handlers: nothing is read before the user is known to be an admin or
    observer, and nothing is done but for an admin."""

    who: Identity

    async def prepare(self) -> None:
        if (waiting := super().prepare()) is not None:
            await waiting
        if self.request.method != "OPTIONS":
            self.who = await self.identity()
            await self.services.admin.check(self.who, sees=self.request.method in ("GET", "HEAD"))

    async def have_done(
        self, action: AdminAction, target: str, *, gateway: str | None = None
    ) -> None:
        """Carry out an action, and answer with the result of each gateway."""
        order = Order(action=action, target=target, by=self.who.user, gateway=gateway)
        self.write_json((await self.services.admin.gateways.order(order)).as_json())


class AdminLiveHandler(AdminHandler):
    """A stream of server-sent events: first everything with its past, then each second what is new.

    https://html.spec.whatwg.org/multipage/server-sent-events.html
    """

    _viewer: Viewer | None = None

    @Operation(
        "Follow the dashboard by server-sent events",
        who=Who.OBSERVER,
        answers={
            200: Answer(
                "Everything with its past, then each second what is new.",
                media_type="text/event-stream",
            )
        },
        refuses=(TooManyDashboards,),
    )
    async def get(self) -> None:
        # A page of another origin could not read it, but could keep it open.
        self.services.origins.check(self.request.headers.get("Origin"))
        self._viewer = viewer = self.services.admin.dashboard.watch(
            self.who.user,
            expires_at=self.who.expires_at,
            session=self.who.session,
            token=self.who.token,
        )
        try:
            # From here on the end of access finds the viewer; this is for an end just before.
            self.services.revocations.check(self.who)
            self.set_header("Content-Type", "text/event-stream")
            # Otherwise nginx buffers the answer.
            self.set_header("X-Accel-Buffering", "no")
            self.write(await self.services.admin.dashboard.beginning())
            await self.flush()
            async for message in viewer:
                self.write(message)
                await self.flush()
        except StreamClosedError:
            pass
        finally:
            self.services.admin.dashboard.leave(viewer)

    def on_connection_close(self) -> None:
        super().on_connection_close()
        if self._viewer is not None:
            self.services.admin.dashboard.leave(self._viewer)


class ConnectionsQuery(Body):
    """The query of a page of connections; its values come as text. ``after``: the ``next`` of the
    page before."""

    search: Annotated[str, Field(max_length=200)] = ""
    sort: Annotated[Sort, Field(strict=False)] = Sort.SINCE
    order: Literal["ascending", "descending"] = "ascending"
    after: Annotated[str, Field(max_length=1000)] | None = None
    size: Annotated[int, Field(strict=False, ge=1, le=100)] = 50

    def as_query(self) -> Query:
        """The query for the connections. Raises :class:`Invalid`."""
        return Query(
            search=self.search.strip().lower(),
            sort=self.sort,
            descending=self.order == "descending",
            after=None if self.after is None else _key(self.after, self.sort),
            size=self.size,
        )


class AdminConnectionsHandler(AdminHandler):
    """One page of all gateways' connections."""

    @Operation(
        "List connections of all gateways",
        who=Who.OBSERVER,
        query=ConnectionsQuery,
        answers={200: Answer("A page.", ShownConnections)},
    )
    async def get(self) -> None:
        query = self.query(ConnectionsQuery).as_query()
        page, missing = await self.services.admin.gateways.page(query)
        answer = {
            "at": _moment(self.services.clock()),
            "connections": [_as_json(row) for row in page.rows],
            "total": page.total,
            "matching": page.matching,
            "missing": missing,
        }
        if page.more:
            answer["next"] = cursor(query.key(page.rows[-1]))
        self.write_json(answer)


class HistoryQuery(Body):
    """The query of the charts' past; its values come as text."""

    hours: Annotated[int, Field(strict=False, ge=1, le=24)] = 1


class ShownPast(TypedDict):
    """The past of each gateway. A sample: its time (Unix), connections, deliveries and posts per
    second, the latency's p50 and p99 in seconds, the outbox, logins and failed ones per second.
    ``missing``: the gateways that have not answered, and why."""

    gateways: Mapping[str, Sequence[Sample]]
    missing: Mapping[str, str]


class AdminHistoryHandler(AdminHandler):
    """The charts' past over hours, of each gateway."""

    @Operation(
        "Show the charts' past over hours",
        who=Who.OBSERVER,
        query=HistoryQuery,
        answers={200: Answer("Samples, at most 240 of a gateway.", ShownPast)},
    )
    async def get(self) -> None:
        hours = self.query(HistoryQuery).hours
        gateways, missing = await self.services.admin.gateways.hours(hours)
        self.write_json({"gateways": gateways, "missing": missing})


def aware(moment: datetime) -> datetime:
    """The moment in UTC. The ``ValueError`` says that its zone is missing."""
    if moment.tzinfo is None:
        raise ValueError("must say its time zone, e.g. 2026-11-30T12:00:00Z")
    return moment.astimezone(UTC)


def _shown(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must have printable characters only")
    return text.strip()


_Moment = Annotated[datetime, Field(strict=False), AfterValidator(aware)]
_Reason = Annotated[str, Field(max_length=LONGEST_REASON), AfterValidator(_shown)]
_Claim = Annotated[str, Field(min_length=1, max_length=8192)]


class Disconnect(Body):
    """The body of an order to disconnect: a user everywhere, who may be kept out ``until`` a
    moment (RFC 3339) and is told the ``reason``; or one connection of a gateway."""

    user: AnyUserName | None = None
    until: _Moment | None = None
    reason: _Reason = ""
    gateway: _Id | None = None
    connection: _Id | None = None

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        given = (self.user is not None, self.gateway is not None, self.connection is not None)
        if given not in ((True, False, False), (False, True, True)):
            raise ValueError("give either user, or gateway and connection")
        if self.user is None and (self.until is not None or self.reason):
            raise ValueError("until and reason are for a user")
        return self


class AdminDisconnectHandler(AdminHandler):
    """The ending of connections."""

    @Operation(
        "End a user everywhere, who may be kept out for a time; or one connection",
        who=Who.ADMIN,
        body=Disconnect,
        answers=_DONE,
        refuses=(UnknownGateway, RevocationsFull),
    )
    async def post(self) -> None:
        wanted = self.body(Disconnect)
        if wanted.user is not None:
            done = await self.services.admin.end_user(
                wanted.user, by=self.who.user, kept_out_until=wanted.until, reason=wanted.reason
            )
            self.write_json(done.as_json())
        else:
            await self.have_done(
                AdminAction.END_CONNECTION, wanted.connection or "", gateway=wanted.gateway
            )


class Named(Body):
    """A user, or the subject of tokens."""

    user: AnyUserName | None = None
    sub: _Claim | None = None

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        if (self.user is None) == (self.sub is None):
            raise ValueError("give either user or sub")
        return self


class AdminAdmitHandler(AdminHandler):
    """Letting somebody in again who is kept out."""

    @Operation(
        "Let somebody in again who is kept out",
        who=Who.ADMIN,
        body=Named,
        answers={204: Answer("Let in.")},
        refuses=(NotKeptOut,),
    )
    async def post(self) -> None:
        wanted = self.body(Named)
        if wanted.user is not None:
            await self.services.admin.admit(Target.USER, wanted.user, by=self.who.user)
        else:
            await self.services.admin.admit(
                Target.SUBJECT, listed(wanted.sub or ""), by=self.who.user
            )
        self.set_status(204)


class NewRevocation(Body):
    """The body of a revocation: of one token by its ``jti``, or of all tokens of a ``sub`` that
    were issued until now, who may be kept out ``until`` a moment."""

    jti: _Claim | None = None
    sub: _Claim | None = None
    until: _Moment | None = None
    reason: _Reason = ""

    @model_validator(mode="after")
    def _one_claim(self) -> Self:
        if (self.jti is None) == (self.sub is None):
            raise ValueError("give either jti or sub")
        if self.jti is not None and self.until is not None:
            raise ValueError("until is for a sub: a token that is revoked stays so")
        return self


class AdminRevocationsHandler(AdminHandler):
    """The revocation list: POST puts a token, or the subject of tokens, on it; GET shows it."""

    @Operation(
        "Show the revocation list",
        who=Who.OBSERVER,
        answers={200: Answer("The list.", ShownRevocations)},
    )
    async def get(self) -> None:
        found = await self.services.admin.revocations()
        self.write_json(ShownRevocations(revocations=[_revocation_json(each) for each in found]))

    @Operation(
        "Revoke a token, or all tokens of a subject",
        who=Who.ADMIN,
        body=NewRevocation,
        answers=_DONE,
        refuses=(RevocationsFull,),
    )
    async def post(self) -> None:
        wanted = self.body(NewRevocation)
        target = Target.SUBJECT if wanted.jti is None else Target.TOKEN
        done = await self.services.admin.end_tokens(
            target,
            listed(wanted.jti or wanted.sub or ""),
            by=self.who.user,
            kept_out_until=wanted.until,
            reason=wanted.reason,
        )
        self.write_json(done.as_json())


def _revocation_json(entry: Revocation) -> ShownRevocation:
    kept_out_until = entry.kept_out_until
    shown: ShownRevocation = {
        "since": timestamp(entry.since),
        "until": None if kept_out_until is None else timestamp(kept_out_until),
        "reason": entry.reason,
        "by": entry.by,
    }
    match entry.target:
        case Target.USER:
            shown["user"] = entry.value
        case Target.TOKEN:
            shown["jti"] = entry.value
        case Target.SUBJECT:
            shown["sub"] = entry.value
    return shown


class Erase(Body):
    """The body of an order to delete by request: a room, what a user has left in a room, or what a
    user has left everywhere. ``reason``: for the record."""

    room: Number | None = None
    user: AnyUserName | None = None
    reason: _Reason = ""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.room is None and self.user is None:
            raise ValueError("give room, user, or both")
        return self


class AdminErasuresHandler(AdminHandler):
    """Deletion by request: POST orders it, GET shows the record of what was deleted."""

    @Operation(
        "Show what was deleted by request",
        who=Who.OBSERVER,
        answers={200: Answer("The record.", ShownErasures)},
    )
    async def get(self) -> None:
        found = await self.services.erasures.listed(self.who)
        self.write_json(ShownErasures(erasures=[_erasure_json(each) for each in found]))

    @Operation(
        "Delete by request: a room, or what a user has left",
        who=Who.ADMIN,
        body=Erase,
        answers={200: Answer("Done.", ShownErasure), 202: Answer("It goes on.", ShownErasure)},
        refuses=(UnknownRoom,),
    )
    async def post(self) -> None:
        wanted = self.body(Erase)
        made = await self.services.erasures.order(
            self.who, room=wanted.room, user=wanted.user, reason=wanted.reason
        )
        # 202: it goes on.
        self.write_json(_erasure_json(made), status=202 if made.done_at is None else 200)


def _erasure_json(entry: Erasure) -> ShownErasure:
    return {
        "id": entry.id,
        "room": entry.room,
        "user": entry.user,
        "by": entry.by,
        "reason": entry.reason,
        "ordered_at": timestamp(entry.ordered_at),
        "done_at": None if entry.done_at is None else timestamp(entry.done_at),
        "rooms": entry.rooms,
        "messages": entry.messages,
        "stays": entry.stays,
    }


class DrainOrder(Body):
    """The body of an order to drain: a broker node, for all gateways; or a gateway, which ends when
    it is empty."""

    node: _Id | None = None
    gateway: _Id | None = None

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.node is None) == (self.gateway is None):
            raise ValueError("give either node or gateway")
        return self


class AdminDrainHandler(AdminHandler):
    """The draining of a broker node or a gateway."""

    @Operation(
        "Drain a node for all gateways, or a gateway, which then ends",
        who=Who.ADMIN,
        body=DrainOrder,
        answers=_DONE,
        refuses=(UnknownNode, UnknownGateway),
    )
    async def post(self) -> None:
        wanted = self.body(DrainOrder)
        if wanted.node is not None:
            await self.have_done(AdminAction.DRAIN_NODE, wanted.node)
        else:
            gateway = wanted.gateway or ""
            await self.have_done(AdminAction.DRAIN_GATEWAY, gateway, gateway=gateway)


class ResumeOrder(Body):
    """The body of an order to resume a broker node."""

    node: _Id


class AdminResumeHandler(AdminHandler):
    """The resuming of a drained broker node."""

    @Operation(
        "Use a drained node again",
        who=Who.ADMIN,
        body=ResumeOrder,
        answers=_DONE,
        refuses=(UnknownNode,),
    )
    async def post(self) -> None:
        await self.have_done(AdminAction.RESUME_NODE, self.body(ResumeOrder).node)


def _as_json(row: Row) -> dict[str, Any]:
    return row | {
        name: None if row[name] is None else _moment(row[name])
        for name in ("since", "heard_at", "expires_at")
    }


def _moment(seconds: float) -> str:
    return timestamp(datetime.fromtimestamp(seconds, UTC))


def cursor(place: Sequence[str | float]) -> str:
    """The values of a place in a list, for a URL."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def cursor_parts(given: str) -> Any:
    """The values of a :func:`cursor`; None if it is none."""
    try:
        return parse(base64.urlsafe_b64decode(given))
    except (binascii.Error, ValueError, Invalid):
        return None


def _key(given: str, sort: Sort) -> Key:
    """The key in a cursor. Raises :class:`Invalid`."""
    of_text = sort in (Sort.USER, Sort.ADDRESS, Sort.NODE)
    match cursor_parts(given):
        case [str() as value, str(gateway), str(id)] if of_text:
            return value, gateway, id
        case [int() | float() as value, str(gateway), str(id)] if not of_text:
            return value, gateway, id
    raise Invalid("after: must be the next of a page with the same sort")
