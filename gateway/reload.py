"""Applying a new configuration to a gateway that serves: checked as a whole, then applied or
refused.

A table of :data:`Change` says what may change while serving; every other key needs a restart.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from pydantic import BaseModel

from broker.nodes.node import Node
from broker.timing.clock import Clock
from broker.timing.tasks import Tasks
from gateway import tls
from gateway.auth.access import AccessRules
from gateway.auth.shared_secret import SharedSecret
from gateway.auth.tokens import Tokens, tokens_for
from gateway.config import Config, ConfigError, Limits, secrets_of
from gateway.domain.kept import KeyPatterns
from gateway.http.listeners import Listener
from gateway.http.services import HandlerServices
from gateway.limits import UNTIL_RESTART
from gateway.live.client.registry import Registry
from gateway.observe import logs

logger = logging.getLogger(__name__)

PutInForce = Callable[[], None]
#: A change reads its keys of a new configuration and the files they name, and returns a function
#: that applies them and cannot fail. Raises :class:`ConfigError`.
Change = Callable[[Config], PutInForce]

#: Limits that SIGHUP changes.
_LIMITS: Final = tuple(name for name in Limits.model_fields if name not in UNTIL_RESTART)


class Reload:
    """The reloading of the configuration. ``read`` returns the new one or raises
    :class:`ConfigError`. ``changes``: each with the keys that it reads."""

    def __init__(
        self,
        config: Config,
        *,
        read: Callable[[], Config],
        changes: Mapping[Change, Collection[str]],
    ) -> None:
        self._in_force = dict(_keys(config))
        self._read = read
        self._changes = tuple(changes)
        self._reloadable = frozenset(key for keys in changes.values() for key in keys)

    def __call__(self) -> None:
        """Read the configuration, and apply everything that can be changed, or nothing. The log has
        the result."""
        try:
            config = self._read()
            prepared = [change(config) for change in self._changes]
        except ConfigError as error:
            problem = " ".join(str(error).split())
            logger.error(
                "the new configuration is refused, and the old one stays in force: %s", problem
            )
            return
        # Files are read anew even if their keys are the same, so everything is applied.
        for put_in_force in prepared:
            put_in_force()
        changed = {key: value for key, value in _keys(config) if value != self._in_force[key]}
        taken = sorted(changed.keys() & self._reloadable)
        waiting = sorted(changed.keys() - self._reloadable)
        self._in_force.update((key, changed[key]) for key in taken)
        logger.info("reloaded: %s", ", ".join(taken) or "no key, perhaps files")
        if waiting:
            logger.warning("these keys have changed, but need a restart: %s", ", ".join(waiting))


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
    secret: SharedSecret
    registry: Registry
    services: HandlerServices
    clock: Clock
    tasks: Tasks

    def changes(
        self, public: Listener, on_nodes: Collection[OnNodes]
    ) -> Mapping[Change, Collection[str]]:
        """Each change and its keys, for :class:`Reload`.

        ``on_nodes``: the parts that work with the nodes, in the order in which they are told.
        """

        def certificate(new: Config) -> PutInForce:
            if (new.server.tls is None) != (self.config.server.tls is None):
                raise ConfigError("server.tls: switching TLS on or off needs a restart")
            if new.server.tls is None:
                return _nothing
            return partial(public.use, tls.for_clients(new.server.tls))

        def nodes(new: Config) -> PutInForce:
            listed = new.broker.listed

            def put_in_force() -> None:
                for each in on_nodes:
                    each.replace(listed)

            return put_in_force

        def tokens(new: Config) -> PutInForce:
            checked = self._tokens(new)

            def put_in_force() -> None:
                self.services.credentials.accept(checked)
                public.make_room_for(self.services.credentials.token_bytes)

            return put_in_force

        return {
            nodes: ["broker.nodes"],
            certificate: ["server.tls"],
            self._origins: ["server.origins"],
            self._access: ["access"],
            tokens: ["auth.jwt", "auth.issuers"],
            self._secret: ["auth.secret", "auth.secret_file"],
            self._limits: [f"limits.{name}" for name in _LIMITS],
            self._host_types: ["messages.host_types"],
            self._participant_keys: ["rooms.participant_keys"],
            self._log: ["log.format", "log.level"],
        }

    def _origins(self, new: Config) -> PutInForce:
        return partial(self.services.origins.replace, new.server.origins)

    def _access(self, new: Config) -> PutInForce:
        rules = AccessRules(new.access, home=new.broker.vhost)

        def put_in_force() -> None:
            self.access.replace(rules)
            self.registry.rules_changed()

        return put_in_force

    def _tokens(self, new: Config) -> Tokens | None:
        return tokens_for(
            new,
            AccessRules(new.access, home=new.broker.vhost),
            clock=self.clock,
            tasks=self.tasks,
            before=self.services.credentials.tokens,
        )

    def _secret(self, new: Config) -> PutInForce:
        versions = new.auth.secrets

        def put_in_force() -> None:
            self.secret.replace(*versions)
            # A version that is withdrawn stops counting at once.
            self.services.credentials.forget_sessions()

        return put_in_force

    def _limits(self, new: Config) -> PutInForce:
        return partial(self.services.limits.replace, new.limits)

    def _host_types(self, new: Config) -> PutInForce:
        def put_in_force() -> None:
            self.services.intake.host_types = frozenset(new.messages.host_types)

        return put_in_force

    def _participant_keys(self, new: Config) -> PutInForce:
        keys = KeyPatterns(new.rooms.participant_keys)

        def put_in_force() -> None:
            self.services.intake.participant_keys = keys

        return put_in_force

    def _log(self, new: Config) -> PutInForce:
        # Values that wait for a restart are still in use, and still secret.
        known_secrets = {*secrets_of(self.config), *secrets_of(new)}
        return partial(logs.set_up, new.log, known_secrets=known_secrets, stream=sys.stderr)


def _keys(config: Config) -> Iterator[tuple[str, object]]:
    """Each key with its value: ``table.key``, or ``key`` for a key outside of tables."""
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            for key in type(value).model_fields:
                yield f"{name}.{key}", getattr(value, key)
        else:
            yield name, value


def _nothing() -> None:
    """Apply nothing."""
