"""The answers to RabbitMQ's questions about a relay's user (``rabbitmq_auth_backend_http``).

https://www.rabbitmq.com/docs/access-control; RabbitMQ's questions for each frame of STOMP:

=====================================  ====================================================
SUBSCRIBE ``/topic/K``                 topic read K; queue ``stomp-subscription-…`` configure,
                                       read and write; exchange ``amq.topic`` read
SUBSCRIBE ``/exchange/X/K``            the same with X; of K only where X is a topic exchange
SUBSCRIBE ``/queue/Q``                 queue configure, read
SUBSCRIBE ``/amq/queue/Q``             queue read
SEND ``/topic/K``, ``/exchange/X/K``   exchange write, topic write K
SEND ``/queue/Q``                      queue configure; exchange ``amq.default`` write
SEND ``/amq/queue/Q``                  exchange ``amq.default`` write
SEND ``/reply-queue/Q``                the same
=====================================  ====================================================

The gateway has judged each frame before; this second look lets RabbitMQ itself refuse what a bug
in the gateway would let through. Nobody writes to a room here: messages to rooms are published by
the gateway itself, with an account that is internal to RabbitMQ. What gateways say to each other
is open to nobody, not even by ``**``: a wildcard that covers its key gets sealed bytes.
"""

from __future__ import annotations

import logging
import math
import string
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Final
from urllib.parse import unquote

from broker.topology import EXCHANGE, Topology
from gateway.auth.access import AccessRules, Direction
from gateway.auth.passcodes import Passcodes
from gateway.auth.patterns import Kind, Pattern, includes, words
from gateway.auth.permissions import SUBSCRIBE, Action, Permissions
from gateway.auth.revocations import AccessEnded
from gateway.domain.identity import ADMIN, Identity
from gateway.domain.user_name import user_name
from gateway.errors import KeptOut, NotAuthenticated, Unavailable

logger = logging.getLogger(__name__)

ALLOW: Final = "allow"
DENY: Final = "deny"
ROLE_TAG: Final = "role-"

#: The name under which RabbitMQ asks about the default exchange.
DEFAULT_EXCHANGE: Final = "amq.default"
#: The prefix of the names that RabbitMQ gives to the queues of topic and exchange subscriptions.
SUBSCRIPTION_QUEUE: Final = "stomp-subscription-"

#: SUBSCRIBE to these kinds reads the named queue; SEND or SUBSCRIBE to these declares it.
_READ: Final = frozenset({Kind.QUEUE, Kind.AMQ_QUEUE})
_DECLARED: Final = frozenset({Kind.QUEUE})

#: Characters that a tag may hold unescaped.
_PLAIN: Final = frozenset(string.ascii_lowercase + string.digits + "-_.")


class Question(StrEnum):
    """A question of RabbitMQ, which is the last part of the path."""

    USER = "user"
    VHOST = "vhost"
    RESOURCE = "resource"
    TOPIC = "topic"


class Permission(StrEnum):
    """A permission that RabbitMQ asks for."""

    CONFIGURE = "configure"
    READ = "read"
    WRITE = "write"


class _Fields(dict[str, str]):
    """The parameters of a question. Reading one that is missing raises ``ValueError``."""

    def __missing__(self, name: str) -> str:
        raise ValueError(f"no {name}")


class BrokerAuth:
    """The answers to RabbitMQ's questions: parsed form fields in, the plain text that RabbitMQ
    reads out."""

    def __init__(
        self,
        passcodes: Passcodes,
        permissions: Permissions,
        access: AccessRules,
        *,
        topology: Topology,
        vhost: str,
        vhosts: Collection[str] = (),
        ended: AccessEnded | None = None,
    ) -> None:
        self._passcodes = passcodes
        self._ended = ended
        self._permissions = permissions
        self._access = access
        self._topology = topology
        self._vhost = vhost
        self._others = frozenset(vhosts) - {vhost}
        self._answers = {
            Question.USER: self._user,
            Question.VHOST: self._into_vhost,
            Question.RESOURCE: self._resource,
            Question.TOPIC: self._topic,
        }

    async def answer(self, question: str, arguments: Mapping[str, Sequence[bytes]]) -> str:
        """The answer: ``allow``, ``allow role-<role> …`` (user only) or ``deny``; raises nothing.

        ``arguments`` are the raw form or query fields, as in Tornado's ``request.arguments``.
        Questions that are malformed or cannot be decided now are denied: the text of an HTTP error
        would be passed on to the client.
        """
        try:
            answer = self._answers[Question(question)]
            fields = _Fields((name, _only(values)) for name, values in arguments.items())
            return await answer(fields)
        except (ValueError, NotAuthenticated, KeptOut):
            return DENY
        except Unavailable as error:
            logger.warning(
                "denied a question of RabbitMQ, because it cannot be decided now: %s", error
            )
            return DENY

    async def _user(self, fields: _Fields) -> str:
        roles = self._passcodes.verify(user_name(fields["username"]), fields["password"])
        # RabbitMQ makes a permanent atom of each tag: only roles that matter are sent.
        tags = sorted(role_tag(role) for role in roles & {ADMIN, *self._access.roles})
        return " ".join([ALLOW, *tags])

    async def _into_vhost(self, fields: _Fields) -> str:
        self._asker(fields)
        return ALLOW

    async def _resource(self, fields: _Fields) -> str:
        asker, name = self._asker(fields), fields["name"]
        permission = Permission(fields["permission"])
        match fields["resource"]:
            case "queue":
                return _answer(await self._queue(asker, name, permission))
            case "exchange":
                return _answer(self._exchange(asker, name, permission))
        return DENY

    async def _queue(self, asker: Identity, queue: str, permission: Permission) -> bool:
        if queue.startswith(SUBSCRIPTION_QUEUE):
            return True
        room = self._topology.private_queue_room(queue) if asker.vhost is None else None
        if (
            room is not None
            and permission is Permission.READ
            and await self._permissions.may(asker, Action.CONSUME_PRIVATE, room)
        ):
            return True

        def names(rule: Pattern, kinds: frozenset[Kind]) -> bool:
            return rule.kind in kinds and includes(rule.words, words(queue))

        match permission:
            case Permission.READ:
                return self._opens(asker, Direction.SUBSCRIBE, lambda rule: names(rule, _READ))
            case Permission.CONFIGURE:
                return any(
                    self._opens(asker, direction, lambda rule: names(rule, _DECLARED))
                    for direction in Direction
                )
        # A binding to a queue of the client's own choice: x-queue-name, only with ``**``.
        return self._access.opens_everything(asker.roles, Direction.SUBSCRIBE, vhost=asker.vhost)

    def _exchange(self, asker: Identity, exchange: str, permission: Permission) -> bool:
        match permission:
            case Permission.READ:
                # Everyone may bind to the rooms' exchange; RabbitMQ asks about each key separately.
                return exchange == EXCHANGE or self._opens(
                    asker, Direction.SUBSCRIBE, lambda rule: rule.exchange == exchange
                )
            case Permission.WRITE:
                return self._opens(
                    asker, Direction.SEND, lambda rule: _published_to(rule) == exchange
                )
        # STOMP declares no exchange.
        return False

    async def _topic(self, fields: _Fields) -> str:
        asker, exchange, key = self._asker(fields), fields["name"], fields["routing_key"]
        # Rooms, and what gateways say to each other, are in one virtual host only.
        of_rooms = exchange == EXCHANGE and asker.vhost is None
        if of_rooms and self._topology.is_gateways(key):
            return DENY

        def names(rule: Pattern) -> bool:
            topical = rule.kind in (Kind.TOPIC, Kind.EXCHANGE)
            return topical and _published_to(rule) == exchange and includes(rule.words, words(key))

        match Permission(fields["permission"]):
            case Permission.READ:
                # A wildcard is no stream: a membership does not let anyone follow several rooms at
                # once.
                stream = self._topology.stream(key) if of_rooms else None
                if stream and await self._permissions.may(
                    asker, SUBSCRIBE[stream.audience], stream.room
                ):
                    return ALLOW
                return _answer(self._opens(asker, Direction.SUBSCRIBE, names))
            case Permission.WRITE:
                return _answer(self._opens(asker, Direction.SEND, names))
        return DENY

    def _opens(
        self, asker: Identity, direction: Direction, fits: Callable[[Pattern], bool]
    ) -> bool:
        roles, vhost = asker.roles, asker.vhost
        return self._access.opens_everything(roles, direction, vhost=vhost) or any(
            fits(rule) for rule in self._access.patterns(roles, direction, vhost=vhost)
        )

    def _asker(self, fields: _Fields) -> Identity:
        """The user, with the roles from the answer to ``user``. ``ValueError``: for a virtual host
        that is not open to clients. Raises :class:`KeptOut`."""
        name = fields["vhost"]
        if name != self._vhost and name not in self._others:
            raise ValueError("another virtual host")
        asker = Identity(
            user_name(fields["username"]),
            roles_in_tags(fields.get("tags", "")),
            math.inf,
            vhost=None if name == self._vhost else name,
        )
        if self._ended is not None:
            self._ended.check(asker)
        return asker


def role_tag(role: str) -> str:
    """A role as a tag of RabbitMQ, which lower-cases tags and splits them at spaces."""
    return ROLE_TAG + "".join(
        sign if sign in _PLAIN else "".join(f"%{byte:02x}" for byte in sign.encode())
        for sign in role
    )


def roles_in_tags(tags: str) -> frozenset[str]:
    """The roles from the tags of :func:`role_tag`; other tags are ignored."""
    return frozenset(
        unquote(tag.removeprefix(ROLE_TAG), errors="strict")
        for tag in tags.split()
        if tag.startswith(ROLE_TAG)
    )


def _published_to(rule: Pattern) -> str:
    """The exchange that the destination's messages are published to."""
    if rule.kind is Kind.TOPIC:
        return EXCHANGE
    return DEFAULT_EXCHANGE if rule.exchange is None else rule.exchange


def _only(values: Sequence[bytes]) -> str:
    (value,) = values
    return value.decode()


def _answer(allowed: bool) -> str:
    return ALLOW if allowed else DENY
