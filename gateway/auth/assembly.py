"""The factory for authentication and permissions."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.auth.access import AccessRules
from gateway.auth.credentials import Credentials
from gateway.auth.ended import EndedSessions
from gateway.auth.memberships import Memberships, RosterSource
from gateway.auth.origins import Origins
from gateway.auth.passcodes import Passcodes
from gateway.auth.permissions import Permissions
from gateway.auth.sessions import Sessions
from gateway.auth.tokens import tokens_for
from gateway.foundation import Foundation


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """The parts that know users, what they may do, and from where."""

    access: AccessRules
    credentials: Credentials
    ended: EndedSessions
    memberships: Memberships
    origins: Origins
    passcodes: Passcodes
    permissions: Permissions
    sessions: Sessions


def auth(made_with: Foundation, *, rosters: RosterSource) -> Auth:
    """Make the parts. Raises :class:`ConfigError`."""
    f, config = made_with, made_with.config
    secret, clock = config.auth.secret.get_secret_value(), f.clock.unix
    access = AccessRules(config.access)
    memberships = Memberships(rosters, clock=f.clock.monotonic)
    ended = EndedSessions(clock=clock)
    sessions = Sessions(secret, lifetime=config.auth.session_lifetime, clock=clock, ended=ended)
    tokens = tokens_for(config, access, clock=f.clock, tasks=f.tasks)
    return Auth(
        access=access,
        credentials=Credentials(sessions=sessions, tokens=tokens, clock=clock),
        ended=ended,
        memberships=memberships,
        origins=Origins(config.server.origins),
        passcodes=Passcodes(secret, clock=clock, ended=ended),
        permissions=Permissions(memberships, access),
        sessions=sessions,
    )
