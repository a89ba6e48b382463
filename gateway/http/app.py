"""All routes of the gateway, on the public and on the internal listener."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from tornado.routing import Router
from tornado.web import Application, RequestHandler

from gateway.config import Server
from gateway.drain import Drain
from gateway.health.readiness import Readiness
from gateway.http.base import NothingHereHandler, account_for
from gateway.http.broker_questions import BrokerQuestions
from gateway.http.built_pages import BuiltPages, source_page
from gateway.http.contract import openapi
from gateway.http.contract.documents import Documents
from gateway.http.handlers.accounts import (
    AdminAccountHandler,
    AdminAccountsCheckHandler,
    AdminAccountsHandler,
    AdminPasswordHandler,
)
from gateway.http.handlers.admin import (
    AdminAdmitHandler,
    AdminConnectionsHandler,
    AdminDisconnectHandler,
    AdminDrainHandler,
    AdminErasuresHandler,
    AdminHistoryHandler,
    AdminLiveHandler,
    AdminResumeHandler,
    AdminRevocationsHandler,
)
from gateway.http.handlers.admin_messages import AdminMessageHandler
from gateway.http.handlers.admin_rooms import AdminRoomHandler
from gateway.http.handlers.approvals import ApprovalsHandler
from gateway.http.handlers.class_codes import CodeHandler, JoinHandler, KnocksHandler
from gateway.http.handlers.documents import (
    AsyncApiHandler,
    DocumentsPageHandler,
    InternalDocumentHandler,
    OpenApiHandler,
)
from gateway.http.handlers.drain import DrainHandler, Progress
from gateway.http.handlers.events import EventsHandler
from gateway.http.handlers.exports import ExportHandler, PrintHandler
from gateway.http.handlers.health import (
    AskedHandler,
    HealthHandler,
    MetricsHandler,
    ReadyHandler,
)
from gateway.http.handlers.journal import AdminEventsHandler
from gateway.http.handlers.members import MemberHandler, MembersHandler
from gateway.http.handlers.messages import MessagesHandler
from gateway.http.handlers.pages import (
    BuiltHandler,
    PageHandler,
    RoomPageHandler,
    RootHandler,
    SourceHandler,
)
from gateway.http.handlers.presence import PresenceHandler
from gateway.http.handlers.rooms import CopyHandler, OpenHandler, RoomHandler, RoomsHandler
from gateway.http.handlers.rosters import NewRosterHandler, RosterHandler
from gateway.http.handlers.session import OneSessionHandler, SessionHandler, SessionsHandler
from gateway.http.handlers.state import StateHandler
from gateway.http.handlers.stomp import StompHandler
from gateway.http.internal_access import InternalAccess
from gateway.http.probes import Probes
from gateway.http.services import HandlerServices
from gateway.live.client.services import ConnectionServices
from gateway.observe.events import Events
from gateway.observe.metrics import Metrics

STATIC: Final = Path(__file__).parent.parent / "static"

#: A path, its handler, and what the handler is made with.
Route = tuple[str, type[RequestHandler] | Router, Mapping[str, object]]


def public(
    services: HandlerServices,
    live: ConnectionServices,
    readiness: Readiness,
    *,
    server: Server,
    built: BuiltPages | None = None,
) -> Application:
    """The application for browsers and load balancers.

    ``server``: the configuration of its paths, frames and cookies. ``built``: the built pages;
    None: pages are served as their sources.
    """
    own = {"services": services}
    socket = {
        "live": live,
        "credentials": services.credentials,
        "drain": services.drain,
        "origins": services.origins,
        "trusted_proxies": services.trusted_proxies,
    }
    base, probes = server.path, Probes(server.path)
    described: list[openapi.Route] = []
    documents = Documents(described, services.topology, server=server)
    # The most frequent ones first: the routes are tried in this order.
    served: list[Route] = [
        (r"/ws", StompHandler, socket),
        *((re.escape(path), StompHandler, socket) for path in server.stomp_paths),
        (r"/api/rooms/([^/]+)/messages", MessagesHandler, own),
        (r"/api/session", SessionHandler, own),
        (r"/api/sessions", SessionsHandler, own),
        (r"/api/sessions/([^/]+)", OneSessionHandler, own),
        (r"/api/rooms", RoomsHandler, own),
        (r"/api/rooms/([^/]+)", RoomHandler, own),
        (r"/api/rooms/([^/]+)/open", OpenHandler, own),
        (r"/api/rooms/([^/]+)/copy", CopyHandler, own),
        (r"/api/rooms/([^/]+)/members", MembersHandler, own),
        (r"/api/rooms/([^/]+)/members/([^/]+)", MemberHandler, own),
        (r"/api/rooms/([^/]+)/presence", PresenceHandler, own),
        (r"/api/rooms/([^/]+)/approvals", ApprovalsHandler, own),
        (r"/api/rooms/([^/]+)/code", CodeHandler, own),
        (r"/api/rooms/([^/]+)/knocks", KnocksHandler, own),
        (r"/api/join", JoinHandler, own),
        (r"/api/rooms/([^/]+)/roster", RosterHandler, own),
        (r"/api/roster", NewRosterHandler, own),
        (r"/api/rooms/([^/]+)/events", EventsHandler, own | {"live": live}),
        (
            r"/api/rooms/([^/]+)/export/(attendance|polls|questions|messages)\.csv",
            ExportHandler,
            own,
        ),
        (r"/api/rooms/([^/]+)/export/page\.html", PrintHandler, own),
        (r"/api/rooms/([^/]+)/state", StateHandler, own),
        (r"/api/admin/live", AdminLiveHandler, own),
        (r"/api/admin/connections", AdminConnectionsHandler, own),
        (r"/api/admin/disconnect", AdminDisconnectHandler, own),
        (r"/api/admin/admit", AdminAdmitHandler, own),
        (r"/api/admin/history", AdminHistoryHandler, own),
        (r"/api/admin/rooms/([^/]+)", AdminRoomHandler, own),
        (r"/api/admin/messages/([^/]+)", AdminMessageHandler, own),
        (r"/api/admin/events", AdminEventsHandler, own),
        (r"/api/admin/revocations", AdminRevocationsHandler, own),
        (r"/api/admin/erasures", AdminErasuresHandler, own),
        (r"/api/admin/accounts", AdminAccountsHandler, own),
        (r"/api/admin/accounts/check", AdminAccountsCheckHandler, own),
        (r"/api/admin/accounts/users/([^/]+)", AdminAccountHandler, own),
        (r"/api/admin/accounts/users/([^/]+)/password", AdminPasswordHandler, own),
        (r"/api/admin/drain", AdminDrainHandler, own),
        (r"/api/admin/resume", AdminResumeHandler, own),
        *_documents(own, documents, server.api_documents),
        *_pages(built, base),
        (r"/static/(.*)", SourceHandler, {"path": str(STATIC), "origins": services.origins}),
    ]
    ready = {"readiness": readiness, "in_detail": False}
    root = {**_page(built, base, "room"), "readiness": readiness}
    at_root: Route = ("/", AskedHandler, {"readiness": readiness})
    if not base:
        at_root = ("/", RootHandler, root)
    described += _described(
        *served,
        (probes.health[0], HealthHandler, {}),
        (probes.ready[0], ReadyHandler, ready),
        *(() if base else (at_root,)),
    )
    return _application(
        services.metrics,
        services.events,
        *((re.escape(base) + path, handler, made_with) for path, handler, made_with in served),
        *((path, HealthHandler, {}) for path in probes.health),
        *((path, ReadyHandler, ready) for path in probes.ready),
        at_root,
        base_path=base,
        trusted_proxies=services.trusted_proxies,
        hsts=server.hsts,
        frame_ancestors=" ".join(server.frame_ancestors) or "'none'",
        cross_site_cookies=server.cookies == "cross-site",
    )


def _described(*routes: Route) -> list[openapi.Route]:
    return [
        (path, handler if isinstance(handler, type) else type(handler))
        for path, handler, _ in routes
    ]


def _documents(own: Mapping[str, object], documents: Documents, readers: str) -> list[Route]:
    """The routes of the contract's documents, for those who may read them."""
    if readers == "nobody":
        return []
    made_with = {**own, "documents": documents, "for_admins": readers == "admins"}
    return [
        (r"/api/openapi\.json", OpenApiHandler, made_with),
        (r"/api/asyncapi\.json", AsyncApiHandler, made_with),
        (r"/api/docs", DocumentsPageHandler, made_with),
    ]


def _pages(built: BuiltPages | None, base: str) -> list[Route]:
    """The routes of the pages. A class code has an address of its own, short for its QR; the page
    reads the code."""
    room = _page(built, base, "room")
    pages: list[Route] = [
        (r"/j/([^/]*)", RoomPageHandler, room),
        (r"/admin/?", PageHandler, _page(built, base, "admin")),
        (r"/admin/accounts/?", PageHandler, _page(built, base, "accounts")),
    ]
    if base:
        pages.append((r"/?", RoomPageHandler, room))
    if built is not None:
        # Source maps are read from the folder: nobody asks for them but a developer's tools.
        pages.append((r"/static/built/([^/]+\.(?:js|css))", BuiltHandler, {"built": built}))
    return pages


def _page(built: BuiltPages | None, base: str, name: str) -> Mapping[str, object]:
    """The arguments of a page's handler."""
    if built is None:
        # Read each time: whoever changes it sees it at the next reload.
        return {"page": partial(source_page, STATIC / name / "index.html", base)}
    page = built.pages[name]
    return {"page": lambda: page}


def internal(
    readiness: Readiness,
    metrics: Metrics,
    events: Events,
    questions: BrokerQuestions,
    *,
    drain: Drain,
    progress: Progress,
    access: InternalAccess,
) -> Application:
    """The application for operators, Prometheus and RabbitMQ; it must never be reachable from
    outside. ``access``: what it checks all the same."""
    described: list[openapi.Route] = []
    served: tuple[Route, ...] = (
        (r"/broker/auth/(?P<question>[a-z]+)", questions, {}),
        (r"/healthz", HealthHandler, {}),
        (r"/readyz", ReadyHandler, {"readiness": readiness, "in_detail": True}),
        (r"/metrics", MetricsHandler, {"metrics": metrics}),
        (r"/drain", DrainHandler, {"drain": drain, "progress": progress, "access": access}),
        (r"/openapi\.json", InternalDocumentHandler, {"documents": Documents(described, None)}),
    )
    described += _described(*served)
    return _application(metrics, events, *served, internal_access=access)


def _application(
    metrics: Metrics,
    events: Events,
    *routes: Route,
    trusted_proxies: Container[str] = (),
    internal_access: InternalAccess | None = None,
    **settings: Any,
) -> Application:
    return Application(
        [(path, handler, dict(made_with)) for path, handler, made_with in routes],
        default_handler_class=NothingHereHandler,
        trusted_proxies=trusted_proxies,
        internal_access=internal_access,
        **settings,
        log_function=partial(
            account_for, metrics=metrics, events=events, trusted_proxies=trusted_proxies
        ),
    )
