"""The questions to RabbitMQ about its own users: which node is asked, and the reading of its
answers."""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from broker.dialling import DialError, LoginRefused
from broker.feeds.reading import QUEUE_PREFIX, Source, may_read
from broker.nodes.balancer import Balancer, NoNodeAvailable
from broker.nodes.credentials import Credentials
from gateway.auth.rabbitmq_logins import refusal
from gateway.errors import BrokerUnavailable, WrongLogin

logger = logging.getLogger(__name__)

#: AMQP's "access refused" (a wrong login) and "not allowed" (the virtual host).
_REFUSED: Final = "403 "
_NOT_ALLOWED: Final = "530 "
#: "Not allowed" for the moment only: the user, the virtual host or the node has as many connections
#: as it may have (``rabbit_reader:is_over_user_connection_limit`` and its like). Names that the
#: text quotes stand before it.
_PASSING: Final = re.compile(r"connection limit \([0-9]+\) is reached\s*\Z")


@dataclass(frozen=True, slots=True)
class Questions:
    """The asker. ``timeout``: seconds for a node to take the login, and again for its answers."""

    balancer: Balancer
    timeout: float
    tls: ssl.SSLContext | None
    rng: Random

    async def __call__(
        self, login: Credentials, sources: Sequence[Source]
    ) -> Mapping[Source, str | None]:
        """Ask one node after the other until one answers; see
        :class:`gateway.auth.rabbitmq_rights.Ask`."""
        tried = set[str]()
        while True:
            try:
                lease = self.balancer.acquire(tried)
            except NoNodeAvailable as error:
                raise BrokerUnavailable(
                    "no broker node says what RabbitMQ's users may do"
                ) from error
            with lease:
                tried.add(lease.node.name)
                try:
                    answers = await may_read(
                        lease.node,
                        login,
                        sources,
                        queue=f"{QUEUE_PREFIX}{self.rng.getrandbits(128):032x}",
                        timeout=self.timeout,
                        tls=self.tls,
                    )
                except LoginRefused as error:
                    if (refused := _refusal(login, error.message)) is not None:
                        raise refused from None
                    logger.warning("a user's permissions are asked for elsewhere: %s", error)
                except DialError as error:
                    # Not held against the node: relays and probes do not come by AMQP.
                    logger.warning("a user's permissions are asked for elsewhere: %s", error)
                else:
                    return answers


def _refusal(login: Credentials, said: str) -> WrongLogin | None:
    """The error behind RabbitMQ's refusal of a login; None if it is about the moment only."""
    if said.startswith(_REFUSED) or (said.startswith(_NOT_ALLOWED) and not _PASSING.search(said)):
        return refusal(login.login)
    return None
