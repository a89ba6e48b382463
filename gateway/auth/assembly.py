"""The factory for authentication and permissions."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Protocol

from broker.nodes.balancer import Balancer
from gateway.auth.access import AccessRules
from gateway.auth.credentials import Credentials
from gateway.auth.ended import EndedSessions
from gateway.auth.guesses import Guesses
from gateway.auth.hook import Hook, HttpQuestion
from gateway.auth.known_sessions import KnownSessions, SessionStore
from gateway.auth.memberships import Memberships, RosterSource
from gateway.auth.origins import Origins
from gateway.auth.passcodes import Passcodes
from gateway.auth.permissions import Permissions
from gateway.auth.rabbitmq_logins import RabbitmqLogins
from gateway.auth.rabbitmq_questions import Questions
from gateway.auth.rabbitmq_rights import BrokerRights
from gateway.auth.revocations import Revocations
from gateway.auth.session_cookie import SessionCookie
from gateway.auth.sessions import Sessions
from gateway.auth.shared_secret import SharedSecret
from gateway.auth.tokens import tokens_for
from gateway.budget.table import LOGIN_CONNECTIONS
from gateway.domain.identity import ADMIN, HOST, OBSERVER
from gateway.foundation import Foundation


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """The parts that know users, what they may do, and from where."""

    access: AccessRules
    credentials: Credentials
    ended: EndedSessions
    known_sessions: KnownSessions
    memberships: Memberships
    origins: Origins
    passcodes: Passcodes
    permissions: Permissions
    revocations: Revocations
    secret: SharedSecret
    sessions: Sessions


class Store(RosterSource, SessionStore, Protocol):
    """The store, as far as users and their rights come from it."""


def auth(made_with: Foundation, *, store: Store) -> Auth:
    """Make the parts. Raises :class:`ConfigError`."""
    f, config = made_with, made_with.config
    secret, clock = SharedSecret(*config.auth.secrets), f.clock.unix
    access = AccessRules(config.access, home=config.broker.vhost)
    memberships = Memberships(store, clock=f.clock.monotonic)
    ended = EndedSessions(clock=clock)
    revocations = Revocations(ended, clock=clock)
    known_sessions = KnownSessions(store, ended, clock=clock, tasks=f.tasks.part())
    sessions = Sessions(
        secret, lifetime=config.auth.session_lifetime, clock=clock, ended=revocations
    )
    tokens = tokens_for(config, access, clock=f.clock, tasks=f.tasks)
    cookie = SessionCookie(config.server.path)
    return Auth(
        access=access,
        credentials=Credentials(
            sessions=sessions,
            known_sessions=known_sessions,
            ended=revocations,
            tokens=tokens,
            clock=clock,
            hook=_hook(f, access, cookie),
            cookie=cookie,
        ),
        ended=ended,
        known_sessions=known_sessions,
        memberships=memberships,
        origins=Origins(config.server.origins),
        passcodes=Passcodes(secret, clock=clock, ended=revocations),
        permissions=Permissions(memberships, access),
        revocations=revocations,
        secret=secret,
        sessions=sessions,
    )


def _hook(made_with: Foundation, access: AccessRules, cookie: SessionCookie) -> Hook | None:
    f, settings = made_with, made_with.config.auth.hook
    if settings is None:
        return None
    return Hook(
        settings,
        HttpQuestion(settings),
        own_cookies=cookie.names,
        known_roles=lambda: access.roles | {ADMIN, HOST, OBSERVER},
        clock=f.clock,
        tasks=f.tasks.part(),
    )


def rabbitmq_logins(
    made_with: Foundation,
    *,
    auth: Auth,
    guesses: Guesses,
    balancer: Balancer,
    tls: ssl.SSLContext | None,
) -> RabbitmqLogins | None:
    """The door for RabbitMQ's own users; None unless the configuration opens it."""
    f, config = made_with, made_with.config
    settings = config.auth.rabbitmq
    if settings is None:
        return None
    rights = BrokerRights(
        Questions(balancer, config.broker.dial_timeout, tls, f.rng),
        lifetime=settings.rights_lifetime,
        ticker=f.ticker,
        tasks=f.tasks.part(),
        rng=f.rng,
    )
    return RabbitmqLogins(
        rights,
        guesses,
        vhost=config.broker.vhost,
        own=config.broker.user,
        with_tokens=lambda: auth.credentials.tokens is not None,
        places=f.budgets.cap(LOGIN_CONNECTIONS),
    )
