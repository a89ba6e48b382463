"""Finds out whether RabbitMQ drops messages that were delivered often: 4.0 and newer.

A quorum queue of 4.0 and newer drops a message after 20 deliveries that failed, and each lost
connection of a host is one. Private queues are declared with a limit that is never reached, but a
policy can set a lower one, and queues that an earlier version of the gateway declared have none of
their own. The gateway's own account may not read policies, so this tries it: a queue whose name and
arguments are those of a private queue gets a message, which is refused more often than that.
https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from dataclasses import replace
from typing import Final

from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.publishing.channels import AMQP_ERRORS, describe
from broker.publishing.link import Link, LinkFailed
from broker.publishing.provision import QueueChannel
from broker.publishing.publication import NotConfirmed, Publication
from broker.timing.tasks import Tasks
from broker.topology import Queue, Topology

#: More than RabbitMQ's default limit.
DELIVERIES: Final = 25
#: Seconds for the whole trial.
TRIAL: Final = 20.0
#: Milliseconds after which a queue of a broken-off trial is gone.
_EXPIRES: Final = 60_000


async def survives(
    node: Node,
    credentials: Credentials,
    topology: Topology,
    *,
    earlier: bool,
    timeout: float,  # noqa: ASYNC109 - of the login
    ssl_context: ssl.SSLContext | None = None,
) -> bool:
    """Whether a message of a private queue is still there after :data:`DELIVERIES` failed ones.

    ``earlier``: of a queue that an earlier version of the gateway declared. ``timeout``: seconds
    for the login. Raises :class:`LinkFailed`.
    """
    token = secrets.token_hex(4)
    now, *_, before = topology.private_queue(1).variants
    queue = _trial(before if earlier else now, f"{now.name}.trial-{token}")
    link = await Link.open(
        node, credentials, ssl_context=ssl_context, timeout=timeout, tasks=Tasks()
    )
    try:
        async with asyncio.timeout(TRIAL) as deadline:
            with link.ends(deadline):
                return await _try(link, queue)
    except TimeoutError:
        reason = link.lost or f"a new queue did not work within {TRIAL:g} s"
        raise LinkFailed(node.name, reason) from None
    except NotConfirmed as error:
        raise LinkFailed(node.name, error.reason) from error
    except AMQP_ERRORS as error:
        raise LinkFailed(node.name, describe(error)) from error
    finally:
        await link.close("the trial is over")


def _trial(queue: Queue, name: str) -> Queue:
    """A queue that RabbitMQ treats like the given one, under a name that no room has."""
    arguments = {**queue.arguments, "x-expires": _EXPIRES}
    # With it basic.get is refused.
    del arguments["x-single-active-consumer"]
    return replace(queue, name=name, binding_key=name, arguments=arguments, sorting=None)


async def _try(link: Link, queue: Queue) -> bool:
    channel = await QueueChannel.open(link)
    await channel.declare(queue)
    await channel.bind(queue)
    publishing = await link.channels.take(queue.binding_key, home=True)
    await publishing.publish(Publication(queue.binding_key, b"", queue.name))
    tries = 0
    while tries < DELIVERIES and await channel.refuse(queue.name):
        tries += 1
    await channel.delete(queue.name)
    await channel.close()
    return tries == DELIVERIES
