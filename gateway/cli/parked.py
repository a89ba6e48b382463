"""The command ``gateway parked``: messages that were too large for hosts, which RabbitMQ keeps.

Nothing but these commands, and the limits of the queue, ends a parked message.
"""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from broker.publishing.channels import AMQP_ERRORS, describe
from broker.publishing.link import LinkFailed
from broker.publishing.parked import NotPutBack, ParkedMessage, ParkedMessages
from gateway import tls
from gateway.cli import orders
from gateway.cli.findings import say
from gateway.cli.running import Unusable, WrongOptions, run
from gateway.config import Config

T = TypeVar("T")
Settle = Callable[[ParkedMessages, ParkedMessage], Awaitable[None]]


def show(_: argparse.Namespace, settings: Config) -> int:
    """List the parked messages: the id, when, why and from where, the size and the properties."""
    number = run(_with_parked(settings, _show))
    say(f"{number} parked messages in {settings.broker.topology.parking.queue}")
    return 0


def save(options: argparse.Namespace, settings: Config) -> int:
    """Write the body of a parked message to a file; the message stays parked."""
    body = run(_with_parked(settings, partial(_body, options.id)))
    try:
        size = options.file.write_bytes(body)
    except OSError as error:
        raise Unusable(f"{options.file}: {error.strerror}") from error
    say(f"{size} bytes in {options.file}")
    return 0


def put_back(options: argparse.Namespace, settings: Config) -> int:
    """Put parked messages back into the private queues that they were in. Raise
    limits.upstream_frame_bytes before, or they are parked again."""

    async def settle(parked: ParkedMessages, message: ParkedMessage) -> None:
        await parked.put_back(message)
        say(f"put back into {message.queue}: {message.id}")

    return _on_chosen(options, settings, settle, code="parked_put_back")


def drop(options: argparse.Namespace, settings: Config) -> int:
    """Delete parked messages for good."""

    async def settle(parked: ParkedMessages, message: ParkedMessage) -> None:
        await parked.drop(message)
        say(f"dropped: {message.id}")

    return _on_chosen(options, settings, settle, code="parked_dropped")


async def _show(parked: ParkedMessages) -> int:
    number = 0
    async for message in parked.each():
        number += 1
        say(
            f"{message.id}  {message.at:%Y-%m-%d %H:%M:%S} UTC, {len(message.taken.body)} bytes"
            f" from the queue {message.queue} ({message.reason}), published to"
            f" {message.exchange or 'the default exchange'} as {message.routing_key}"
        )
        for name, value in message.properties.items():
            say(f"          {name}: {value}")
    return number


async def _body(id: str, parked: ParkedMessages) -> bytes:
    async for message in parked.each():
        if message.id == id:
            return message.taken.body
    raise Unusable(_unknown({id}))


def _on_chosen(options: argparse.Namespace, settings: Config, settle: Settle, *, code: str) -> int:
    if bool(options.ids) == options.all:
        raise WrongOptions("name the messages by the ids of `gateway parked list`, or give --all")
    ids = None if options.all else set(options.ids)
    settled, failures = run(_with_parked(settings, partial(_settle, ids, settle)))
    if settled:
        orders.note_alone(settings, code, f"{len(settled)} parked messages: {', '.join(settled)}")
    if failures:
        raise Unusable("\n  ".join(failures))
    return 0


async def _settle(
    ids: set[str] | None, settle: Settle, parked: ParkedMessages
) -> tuple[list[str], list[str]]:
    """Settle the messages of these ids (None: all that are there now). Returns the ids of those
    that are settled, and what has failed."""
    # All of them are read first: what is put back may be parked again meanwhile.
    found = [message async for message in parked.each()]
    chosen = [message for message in found if ids is None or message.id in ids]
    settled, failures = [], []
    for message in chosen:
        try:
            await settle(parked, message)
        except NotPutBack as error:
            failures.append(f"{message.id} stays parked: {error}")
        else:
            settled.append(message.id)
    unknown = (ids or set()) - {message.id for message in chosen}
    if unknown:
        failures.append(_unknown(unknown))
    return settled, failures


def _unknown(ids: set[str]) -> str:
    return f"no parked message has the id {', '.join(sorted(ids))}; see `gateway parked list`"


async def _with_parked(settings: Config, work: Callable[[ParkedMessages], Awaitable[T]]) -> T:
    """The result of the work on the parked messages, through the first node that answers."""
    parked = await _opened(settings)
    try:
        try:
            return await work(parked)
        finally:
            await parked.close()
    except AMQP_ERRORS as error:
        raise Unusable(f"RabbitMQ: {describe(error)}") from error


async def _opened(settings: Config) -> ParkedMessages:
    broker, failures = settings.broker, []
    context = tls.for_broker(broker.tls)
    for node in broker.listed:
        try:
            return await ParkedMessages.open(
                node,
                broker.account,
                broker.topology,
                timeout=broker.dial_timeout,
                ssl_context=context,
            )
        except LinkFailed as error:
            failures.append(str(error))
    raise Unusable("no node of the cluster can be used:\n  " + "\n  ".join(failures))
