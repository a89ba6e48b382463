"""The user whom a checked token, cookie or password has identified."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gateway.domain.broker_login import BrokerLogin
from gateway.domain.revocation import TokenMark

#: System roles that the gateway itself knows; all others only open access rules.
ADMIN: Final = "admin"
HOST: Final = "host"
#: Sees the dashboard, and gives no orders.
OBSERVER: Final = "observer"


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated user with the system roles, and the end of the proof (seconds since the
    epoch).

    ``session`` is the login that was used. When it ends, everything that it opened ends too.
    ``token`` says by what the token can be revoked that the user has shown; None: another proof.
    ``login``: one of RabbitMQ's own users, whom RabbitMQ judges; they have no roles here, and take
    no part in rooms. ``vhost``: the virtual host that a connection has chosen; None is the
    configured one, where the rooms are. ``display_name``: what pages show beside the user's name,
    in the form of :mod:`gateway.domain.display_name`; no right depends on it.
    """

    user: str
    roles: frozenset[str]
    expires_at: float
    session: str | None = None
    login: BrokerLogin | None = field(default=None, compare=False)
    vhost: str | None = None
    display_name: str | None = None
    token: TokenMark | None = field(default=None, compare=False)

    @property
    def payer(self) -> str:
        """The owner of what the limits on one user count."""
        return self.user if self.login is None else self.login.payer

    def has(self, role: str) -> bool:
        return role in self.roles
