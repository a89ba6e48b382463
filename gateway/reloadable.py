"""The changes that a serving gateway takes from a new configuration, key by key."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol

from broker.nodes.node import Node
from broker.timing.tasks import Tasks
from gateway import tls
from gateway.auth.access import AccessRules
from gateway.auth.tokens import Tokens, key_source
from gateway.config import Config, ConfigError, secrets_of
from gateway.domain.identity import ADMIN, HOST
from gateway.http.listeners import Listener, Room
from gateway.http.services import Services
from gateway.live.client.services import Services as LiveServices
from gateway.messages.pipeline import Pipeline
from gateway.observe import logs
from gateway.rates import RateLimiter
from gateway.reload import Change, PutInForce

#: The keys that can change. The others are part of existing objects; a restart changes them.
_LIMITS: Final = (
    "body_bytes",
    "connections",
    "connections_per_user",
    "frame_bytes",
    "frames_burst",
    "frames_per_second",
    "logins_per_minute",
    "page_size",
    "posts_burst",
    "posts_per_second",
    "reads",
    "reads_per_user",
    "room_members",
    "subscriptions",
    "unknown_connections",
    "unknown_connections_per_address",
    "waiting_posts",
)


class OnNodes(Protocol):
    """A part that works with the nodes of the cluster."""

    def replace(self, nodes: Sequence[Node]) -> None:
        """Use these nodes from now on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloadable:
    """The parts that can change, and the changes. ``config`` is the one they were made with."""

    config: Config
    access: AccessRules
    live: LiveServices
    pipeline: Pipeline
    post_rate: RateLimiter
    services: Services
    tasks: Tasks

    def changes(
        self, public: Listener, on_nodes: Collection[OnNodes]
    ) -> Mapping[Change, Collection[str]]:
        """Each change and its keys, for :class:`gateway.reload.Reload`.

        ``on_nodes``: the parts that work with the nodes, in the order in which they are told.
        """

        def certificate(new: Config) -> PutInForce:
            if (new.server.tls is None) != (self.config.server.tls is None):
                raise ConfigError("server.tls: switching TLS on or off needs a restart")
            if new.server.tls is None:
                return _nothing
            return partial(public.use, tls.for_clients(new.server.tls))

        def nodes(new: Config) -> PutInForce:
            listed = nodes_of(new)

            def put_in_force() -> None:
                for each in on_nodes:
                    each.replace(listed)

            return put_in_force

        def room(new: Config) -> PutInForce:
            return partial(public.make_room, Room.by(new))

        return {
            nodes: ["broker.nodes"],
            certificate: ["server.tls"],
            self._origins: ["server.origins"],
            self._access: ["access"],
            self._tokens: ["auth.jwt"],
            self._limits: [f"limits.{name}" for name in _LIMITS],
            room: ["limits.http_connections", "limits.http_connections_per_address"],
            self._host_types: ["messages.host_types"],
            self._log: ["log.format", "log.level"],
        }

    def _origins(self, new: Config) -> PutInForce:
        return partial(self.services.origins.replace, new.server.origins)

    def _access(self, new: Config) -> PutInForce:
        return partial(self.access.replace, AccessRules(new.access))

    def _tokens(self, new: Config) -> PutInForce:
        credentials = self.services.credentials
        return partial(
            credentials.accept,
            tokens_for(new, AccessRules(new.access), tasks=self.tasks, before=credentials.tokens),
        )

    def _limits(self, new: Config) -> PutInForce:
        limits = new.limits

        def put_in_force() -> None:
            self.services.limits = limits
            self.services.accounts.guesses.replace(per_minute=limits.logins_per_minute)
            self.services.rooms.max_members = limits.room_members
            self.post_rate.replace(limits.posts_per_second, limits.posts_burst)
            self.pipeline.limits = replace(
                self.pipeline.limits, posts=limits.waiting_posts, message_bytes=limits.body_bytes
            )
            registry, live = self.live.admission.registry, self.live.limits
            registry.limit = limits.connections
            registry.per_user = limits.connections_per_user
            registry.unknown = limits.unknown_connections
            registry.unknown_per_address = limits.unknown_connections_per_address
            live.frame_bytes = limits.frame_bytes
            live.frames_per_second = limits.frames_per_second
            live.frames_burst = limits.frames_burst
            live.subscriptions = limits.subscriptions

        return put_in_force

    def _host_types(self, new: Config) -> PutInForce:
        def put_in_force() -> None:
            self.services.intake.host_types = frozenset(new.messages.host_types)

        return put_in_force

    def _log(self, new: Config) -> PutInForce:
        # Values that wait for a restart are still in use, and still secret.
        known_secrets = {*secrets_of(self.config), *secrets_of(new)}
        return partial(logs.set_up, new.log, known_secrets=known_secrets, stream=sys.stderr)


def nodes_of(config: Config) -> list[Node]:
    """The nodes in the order of the configuration."""
    return [Node(n.name, n.web_stomp, n.amqp, n.max_connections) for n in config.broker.nodes]


def tokens_for(
    config: Config, access: AccessRules, *, tasks: Tasks, before: Tokens | None = None
) -> Tokens | None:
    """The checker of tokens for this configuration. Keys that ``before`` has fetched stay known.

    Raises :class:`ConfigError`.
    """
    settings = config.auth.jwt
    if settings is None:
        return None
    if before is not None and before.settings == settings and settings.jwks_url is not None:
        keys = before.keys
    else:
        keys = key_source(settings, clock=time.monotonic, tasks=tasks.part())
    return Tokens(settings, keys, known_roles=access.roles | {ADMIN, HOST})


def _nothing() -> None:
    """Apply nothing."""
