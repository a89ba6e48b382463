"""All parts of a gateway, made in the order in which they need each other; nothing is started."""

from __future__ import annotations

from dataclasses import dataclass
from secrets import token_hex

from tornado.web import Application

from broker.health.partition_probe import PartitionProbe
from gateway.account_desk import AccountDesk
from gateway.admin import Admin
from gateway.admin.assembly import admin
from gateway.auth.accounts import Accounts
from gateway.auth.assembly import Auth, auth, rabbitmq_logins
from gateway.auth.broker_auth import BrokerAuth
from gateway.budget.budgets import Budgets
from gateway.budget.table import KEPT, KEPT_BYTES
from gateway.class_codes import ClassCodes
from gateway.cluster.assembly import Cluster, cluster
from gateway.drain import Drain
from gateway.errors import GatewayError
from gateway.foundation import Foundation
from gateway.health.dependencies import Dependencies
from gateway.health.readiness import Readiness
from gateway.health.states import States
from gateway.http import app
from gateway.http.broker_questions import BrokerQuestions
from gateway.http.built_pages import load_if_there
from gateway.http.internal_access import InternalAccess
from gateway.http.open_answers import OpenAnswers
from gateway.http.services import HandlerServices
from gateway.http.trusted_proxies import TrustedProxies
from gateway.live.assembly import Live, connection_services, live
from gateway.logins import Logins
from gateway.measures import measures
from gateway.messages.assembly import Messages, messages
from gateway.messages.outbox import Outbox
from gateway.observe.metrics import Metrics
from gateway.private_queues import PrivateQueues
from gateway.queues.assembly import Queues
from gateway.rabbitmq import Broker
from gateway.reload import Reloadable
from gateway.reports.attendance_log import AttendanceLog
from gateway.reports.erasures import Erasures
from gateway.reports.exports import Exports
from gateway.reports.journal_writer import JournalWriter
from gateway.rooms import Rooms
from gateway.rosters import Rosters
from gateway.store import Account, Store
from gateway.store.keys import KeyBounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The parts of a gateway, by package, and its two applications."""

    admin: Admin
    attendance_log: AttendanceLog
    auth: Auth
    budgets: Budgets
    cluster: Cluster
    erasures: Erasures
    internal: Application
    journal_writer: JournalWriter
    live: Live
    messages: Messages
    partition_probe: PartitionProbe
    public: Application
    readiness: Readiness
    reloadable: Reloadable
    services: HandlerServices


def assemble(
    made_with: Foundation,
    *,
    store: Store,
    accounts: Accounts[Account],
    outbox: Outbox,
    queues: Queues,
    broker: Broker,
    drain: Drain,
) -> Gateway:
    """Connect the packages; call this inside the running loop. Raises :class:`ConfigError`."""
    f, publisher, balancer, feeds = made_with, broker.publisher, broker.balancer, broker.feeds
    store.key_bounds = _key_bounds(f.budgets)
    users = auth(f, store=store)
    lives = live(f, history=store, feeds=feeds, balancer=balancer)
    others = cluster(
        f,
        store=store,
        auth=users,
        live=lives,
        outbox=outbox,
        publisher=publisher,
        feeds=feeds,
    )
    logins = Logins(
        store=store,
        accounts=accounts,
        sessions=users.sessions,
        known=users.known_sessions,
        endings=others.session_revocation,
        budgets=f.budgets,
        most=f.config.auth.sessions_per_user,
        clock=f.clock.unix,
    )
    posts = messages(
        f,
        store=store,
        auth=users,
        outbox=outbox,
        publisher=publisher,
        stored=[others.revocation.stored, lives.hub.stored, others.history_hints.stored],
    )
    states = States(clock=f.clock.unix, journal=f.journal)
    shown = admin(
        f,
        bus=others.bus,
        live=lives,
        messages=posts,
        outbox=outbox,
        balancer=balancer,
        publisher=publisher,
        feeds=feeds,
        drain=drain,
        permissions=users.permissions,
        states=states,
        endings=others.session_revocation,
        logins=logins,
        store=store,
    )
    metrics = measures(
        f,
        broker=broker,
        live=lives,
        messages=posts,
        bus=others.bus,
        outbox=outbox,
        drain=drain,
        store=store,
        parked=queues.parked,
        logins=logins,
        waiting_logins=lambda: accounts.waiting,
        states=states,
        clocks=others.neighbours.clocks,
    )
    private_queues = PrivateQueues(queues.mender, clock=f.clock.monotonic)
    erasures = Erasures(
        store,
        users.permissions,
        others.revocation,
        events=f.events,
        forget=lives.hub.forget,
        followed=lambda: lives.hub.rooms,
        tell=lives.hub.tell_deleted,
        utc=f.clock.utc,
        clock=f.clock.monotonic,
        tasks=f.tasks.part(),
    )
    services = _services(
        f,
        store=store,
        erasures=erasures,
        accounts=accounts,
        admin=shown,
        auth=users,
        cluster=others,
        drain=drain,
        messages=posts,
        metrics=metrics,
        outbox=outbox,
        queues=private_queues,
        logins=logins,
    )
    connections = connection_services(
        f,
        live=lives,
        auth=users,
        intake=posts.intake,
        queues=private_queues,
        consumers=queues.consumers,
        acknowledgements=queues.acknowledgements,
        missed=queues.missed,
        parking=queues.parked,
        balancer=balancer,
        broker_tls=broker.tls,
        rabbitmq=rabbitmq_logins(
            f, auth=users, guesses=accounts.guesses, balancer=balancer, tls=broker.tls
        ),
    )
    dependencies = Dependencies(
        store=store,
        balancer=balancer,
        publisher=publisher,
        outbox=outbox,
        feeds=lambda: lives.hub.problems,
        bus=others.bus,
        neighbours=others.neighbours,
        parked={"outbox": outbox.parking, "private queues": queues.parked},
        descriptors=f.descriptors,
        drain=drain,
        failures=f.tasks.failures,
    )
    readiness = Readiness(states, store=store, look=dependencies.look, tasks=f.tasks.part())
    broker_auth = BrokerAuth(
        users.passcodes,
        users.permissions,
        users.access,
        topology=f.topology,
        vhost=f.config.broker.vhost,
        vhosts=f.config.broker.vhosts,
        ended=users.revocations,
    )

    access = InternalAccess(f.config.server, clock=f.clock.monotonic)

    def progress() -> dict[str, int]:
        return {
            "connections": len(lives.registry),
            "posts": posts.pipeline.in_hand,
            "outbox": outbox.depth,
        }

    return Gateway(
        admin=shown,
        attendance_log=AttendanceLog(
            lives.attendance,
            store,
            utc=f.clock.utc,
            clock=f.clock.monotonic,
            tasks=f.tasks.part(),
        ),
        auth=users,
        budgets=f.budgets,
        cluster=others,
        erasures=erasures,
        partition_probe=PartitionProbe(
            f.topology.echo_key(token_hex(8)),
            publisher=publisher,
            balancer=balancer,
            feeds=feeds,
            doubt=lives.hub.doubt,
            tasks=f.tasks.part(),
        ),
        internal=app.internal(
            readiness,
            metrics,
            f.events,
            BrokerQuestions(broker_auth, access, metrics=metrics, tasks=f.tasks),
            drain=drain,
            progress=progress,
            access=access,
        ),
        journal_writer=JournalWriter(
            f.journal,
            store.journal,
            gateway=others.bus.gateway,
            clock=f.clock.unix,
            tasks=f.tasks.part(),
        ),
        live=lives,
        messages=posts,
        public=app.public(
            services,
            connections,
            readiness,
            server=f.config.server,
            built=(
                load_if_there(app.STATIC / "built", f.config.server.path)
                if f.config.server.pages == "built"
                else None
            ),
        ),
        readiness=readiness,
        reloadable=Reloadable(
            config=f.config,
            access=users.access,
            secret=users.secret,
            registry=lives.registry,
            services=services,
            clock=f.clock,
            tasks=f.tasks,
        ),
        services=services,
    )


def _services(  # noqa: PLR0913 - the packages that handlers work with
    made_with: Foundation,
    *,
    store: Store,
    erasures: Erasures,
    accounts: Accounts[Account],
    admin: Admin,
    auth: Auth,
    cluster: Cluster,
    drain: Drain,
    messages: Messages,
    metrics: Metrics,
    outbox: Outbox,
    queues: PrivateQueues,
    logins: Logins,
) -> HandlerServices:
    f = made_with
    answers = OpenAnswers()
    cluster.session_revocation.end_too(answers)
    return HandlerServices(
        account_desk=AccountDesk(
            permissions=auth.permissions,
            store=store,
            accounts=accounts,
            endings=cluster.session_revocation,
            events=f.events,
        ),
        accounts=accounts,
        admin=admin,
        answers=answers,
        budgets=f.budgets,
        clock=f.clock.unix,
        codes=ClassCodes(
            permissions=auth.permissions,
            store=store,
            changes=cluster.revocation,
            endings=cluster.session_revocation,
            sessions=auth.sessions,
            known=auth.known_sessions,
            budgets=f.budgets,
            clock=f.clock.unix,
            monotonic=f.clock.monotonic,
        ),
        credentials=auth.credentials,
        drain=drain,
        erasures=erasures,
        events=f.events,
        exports=Exports(
            store,
            auth.permissions,
            messages.history.turns,
            budgets=f.budgets,
            clock=f.clock.utc,
        ),
        approvals=messages.approvals,
        history=messages.history,
        state=messages.state,
        intake=messages.intake,
        limits=f.limits,
        logins=logins,
        metrics=metrics,
        origins=auth.origins,
        revocations=auth.revocations,
        rooms=Rooms(
            permissions=auth.permissions,
            store=store,
            queues=queues,
            changes=cluster.revocation,
            presence=cluster.presence,
            endings=cluster.session_revocation,
            filled=outbox.read_on,
            budgets=f.budgets,
            journal=f.journal,
            clock=f.clock.utc,
        ),
        rosters=Rosters(
            permissions=auth.permissions,
            store=store,
            changes=cluster.revocation,
            budgets=f.budgets,
        ),
        sessions=auth.sessions,
        topology=f.topology,
        trusted_proxies=TrustedProxies(f.config.server.trusted_proxies),
    )


def _key_bounds(budgets: Budgets) -> KeyBounds:
    size = budgets.cap(KEPT_BYTES)

    def too_large(of_all: int, of_author: int) -> GatewayError | None:
        # What is full may stand; one byte more may not.
        return size.against(of_all - 1, of_author - 1)

    return KeyBounds(number=budgets.cap(KEPT).against, size=too_large)
