"""``/api/admin/…``: the dashboard's data and actions, for the role admin."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from tornado.iostream import StreamClosedError

from gateway.admin.connections import Key, Query, Row, Sort
from gateway.admin.dashboard import Viewer
from gateway.admin.orders import AdminAction, Order
from gateway.domain.identity import Identity
from gateway.domain.message import timestamp
from gateway.errors import Invalid
from gateway.http.api import ApiHandler
from gateway.http.body import Body, parse
from gateway.http.names import UserName

_Id = Annotated[str, Field(min_length=1, max_length=100)]


class AdminHandler(ApiHandler):
    """The base of these handlers: nothing is read or done before the user is known to be an
    admin."""

    who: Identity

    async def prepare(self) -> None:
        if (waiting := super().prepare()) is not None:
            await waiting
        if self.request.method != "OPTIONS":
            self.who = await self.identity()
            await self.services.admin.check(self.who)

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

    async def get(self) -> None:
        # A page of another origin could not read it, but could keep it open.
        self.services.origins.check(self.request.headers.get("Origin"))
        self._viewer = viewer = self.services.admin.dashboard.watch(
            self.who.user, expires_at=self.who.expires_at, session=self.who.session
        )
        try:
            # From here on the end of the session finds the viewer; this is for an end just before.
            self.services.sessions.check(self.who)
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
            answer["next"] = _cursor(query.key(page.rows[-1]))
        self.write_json(answer)


class Disconnect(Body):
    """The body of an order to disconnect: a user everywhere, or one connection of a gateway."""

    user: UserName | None = None
    gateway: _Id | None = None
    connection: _Id | None = None

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        given = (self.user is not None, self.gateway is not None, self.connection is not None)
        if given not in ((True, False, False), (False, True, True)):
            raise ValueError("give either user, or gateway and connection")
        return self


class AdminDisconnectHandler(AdminHandler):
    """The ending of connections."""

    async def post(self) -> None:
        wanted = self.body(Disconnect)
        if wanted.user is not None:
            await self.have_done(AdminAction.END_USER, wanted.user)
        else:
            await self.have_done(
                AdminAction.END_CONNECTION, wanted.connection or "", gateway=wanted.gateway
            )


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

    async def post(self) -> None:
        await self.have_done(AdminAction.RESUME_NODE, self.body(ResumeOrder).node)


def _as_json(row: Row) -> dict[str, Any]:
    return row | {
        name: None if row[name] is None else _moment(row[name])
        for name in ("since", "heard_at", "expires_at")
    }


def _moment(seconds: float) -> str:
    return timestamp(datetime.fromtimestamp(seconds, UTC))


def _cursor(key: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()


def _key(cursor: str, sort: Sort) -> Key:
    """The key in a cursor. Raises :class:`Invalid`."""
    of_text = sort in (Sort.USER, Sort.ADDRESS, Sort.NODE)
    try:
        match parse(base64.urlsafe_b64decode(cursor)):
            case [str() as value, str(gateway), str(id)] if of_text:
                return value, gateway, id
            case [int() | float() as value, str(gateway), str(id)] if not of_text:
                return value, gateway, id
    except (binascii.Error, ValueError, Invalid):
        pass
    raise Invalid("after: must be the next of a page with the same sort")
