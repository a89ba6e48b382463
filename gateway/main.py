"""The process: starts all parts of a gateway in order, serves, and stops them in reverse."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from random import SystemRandom
from typing import Any, Final, Protocol

from broker.timing.tasks import Failures, Tasks
from gateway import garbage, retention, threads, tls
from gateway.assembly import Gateway, assemble
from gateway.auth.accounts import Accounts
from gateway.auth.guesses import Guesses
from gateway.config import Config
from gateway.descriptors import Descriptors
from gateway.drain import Drain, leaving
from gateway.foundation import Foundation
from gateway.http.internal_access import NETWORKS_NEEDED, networks_shortage
from gateway.http.listeners import Listener
from gateway.http.server import SPARE, Capacity, FixedCapacity
from gateway.http.sockets import PLACES, Place
from gateway.inherited_sockets import InheritedSockets
from gateway.live.client.registry import Registry
from gateway.messages import nesting
from gateway.messages.intake import MAX_TYPE_LENGTH
from gateway.messages.outbox import Outbox
from gateway.queues.assembly import private_queues
from gateway.rabbitmq import rabbitmq
from gateway.reload import OnNodes, Reload, Reloadable
from gateway.service_manager import ServiceManager
from gateway.store import Store
from gateway.store.post_function import PostLimits
from gateway.store.quota import Quota

logger = logging.getLogger(__name__)

#: Connections to the internal listener, and bytes of a request's body there. RabbitMQ asks on a new
#: connection for each login that is under way, in some hundred bytes.
_INTERNAL_CONNECTIONS: Final = 1024
_INTERNAL_BODY: Final = 65_536


async def serve(config: Config, *, read: Callable[[], Config]) -> None:
    """Serve until SIGTERM or ``POST /drain``, then give notice and drain. SIGHUP: ``read`` the
    configuration again and apply what can be changed.

    SIGINT or a second signal skips notice and drain time, a third one ends at once. The first
    SIGTERM never does, whatever has been asked before: Kubernetes sends one to a pod whose
    ``preStop`` hook has just asked it to drain. Raises
    :class:`ConfigError`, :class:`StartError`, :class:`StoreUnavailable`.
    """
    drain = Drain(
        notice=config.server.notice_time, lasts=config.server.drain_time, rng=SystemRandom()
    )
    loop = asyncio.get_running_loop()

    terminated = False

    def asked_to_stop(number: signal.Signals) -> None:
        nonlocal terminated
        if number is signal.SIGTERM and not terminated:
            terminated = True
            if drain.announced:
                logger.info("SIGTERM: leaving already; another one skips what is left of the time")
            drain.announce(number.name)
            return
        loop.remove_signal_handler(signal.SIGINT)
        if terminated:
            loop.remove_signal_handler(signal.SIGTERM)
        drain.hurry()
        drain.begin(number.name)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop, number)
    # Without a handler, SIGHUP would end the process.
    loop.add_signal_handler(
        signal.SIGHUP, logger.warning, "ignored SIGHUP, because the gateway is still starting"
    )
    async with running(config, drain) as serving:
        changes = serving.reloadable.changes(serving.public, serving.on_nodes)
        loop.add_signal_handler(signal.SIGHUP, Reload(config, read=read, changes=changes))
        threads.settle()
        garbage.settle()
        logger.info("serving %s, internal %s", serving.public.url, serving.internal.url)
        serving.manager.ready(f"serving {serving.public.url}")
        await drain.wait_for_notice()
        times = config.server.notice_time, config.server.drain_time, config.server.stop_timeout
        serving.manager.leaving(within=sum(times))
        await drain.wait()
        serving.public.no_keep_alive()
        await drain.move_off(serving.registry)
    logger.info("stopped")


@dataclass(frozen=True, slots=True)
class Serving:
    """A gateway that is serving, with both listeners open."""

    public: Listener
    internal: Listener
    registry: Registry
    reloadable: Reloadable
    on_nodes: Sequence[OnNodes]
    manager: ServiceManager


class Part(Protocol):
    """A part with background work of its own."""

    def start(self) -> None: ...

    async def close(self) -> None: ...


@asynccontextmanager
async def running(config: Config, drain: Drain) -> AsyncIterator[Serving]:
    """A gateway from the database's migration to its last closed connection.

    Raises the errors of :func:`serve`. Everything that was opened is closed, in reverse, each part
    within a bound of its own, also when starting fails halfway.
    """
    if shortage := Descriptors.raised(config).shortage(config):
        logger.warning("%s", shortage)
    f = Foundation.of(config, tasks=_tasks())
    mq = rabbitmq(f)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(f.tasks.close)
        inherited = InheritedSockets(os.environ, PLACES)
        stack.callback(inherited.close)
        manager = ServiceManager(os.environ)
        _give_signs_of_life(f, manager, stack)
        store = await opened_store(config, migrate=config.store.serve_migrates)
        stack.push_async_callback(store.close)
        logger.info("database %s %s", store.name, store.schema)
        _keep_history(f, store, stack)
        guesses = Guesses(f.budgets, clock=f.clock.monotonic)
        accounts = Accounts(store, guesses=guesses, budgets=f.budgets)
        stack.callback(accounts.close)
        _begin(stack, mq.publisher, mq.prober)
        queues = private_queues(f, store=store, publisher=mq.publisher)
        _begin(stack, queues.acknowledgements, queues.parked)
        stack.push_async_callback(queues.mender.close)
        outbox = Outbox(
            store,
            mq.publisher,
            f.topology,
            queues=queues.mender,
            rng=f.rng,
            tasks=f.tasks.part(),
        )
        queues.mender.start(outbox)
        await outbox.start()
        stack.push_async_callback(outbox.close, within=config.server.stop_timeout / 2)
        gateway = assemble(
            f,
            store=store,
            accounts=accounts,
            outbox=outbox,
            queues=queues,
            broker=mq.broker,
            drain=drain,
        )
        stack.callback(gateway.live.hub.close)
        stack.push_async_callback(mq.broker.feeds.close)
        # The ended sessions are known before anybody can come with their cookies.
        await gateway.cluster.session_revocation.poll()
        _keep_sessions(f, store, gateway, stack)
        _begin(
            stack,
            gateway.cluster.bus,
            gateway.cluster.neighbours,
            gateway.cluster.history_hints,
            gateway.partition_probe,
            gateway.admin.dashboard,
            gateway.attendance_log,
            gateway.journal_writer,
            gateway.erasures,
            gateway.cluster.presence,
            gateway.cluster.revocation,
            gateway.cluster.session_revocation,
            gateway.live.rebalancer,
            gateway.readiness,
        )
        mq.broker.feeds.start()
        public, internal = _open(f, gateway, inherited, stack)
        # Whatever ends the gateway, nothing new is accepted from here on.
        stack.callback(drain.begin, "stopping")
        yield Serving(
            public,
            internal,
            gateway.live.registry,
            gateway.reloadable,
            on_nodes=[*mq.on_nodes, gateway.live.hub],
            manager=manager,
        )


async def opened_store(config: Config, *, migrate: bool) -> Store:
    """The database of a gateway that serves, with the limits of what applications post there by
    themselves. Raises :class:`StoreUnavailable`."""
    kept, limits = config.history, config.limits
    quota = Quota(kept.room_messages, kept.room_megabytes * 1024 * 1024)
    store = await Store.open(
        config.store.url.get_secret_value(),
        migrate=migrate,
        call_timeout=config.store.timeout,
        connections=config.store.connections,
        posting=PostLimits(
            quota,
            body=limits.body_bytes,
            nesting=nesting.MOST,
            type=MAX_TYPE_LENGTH,
            kept=limits.kept_bytes,
            kept_of_room=limits.kept_of_room,
            kept_of_user=limits.kept_of_user,
            kept_bytes_of_user=limits.kept_bytes_of_user,
            kept_bytes_of_users=limits.kept_bytes_of_users,
        ),
    )
    store.quota = quota
    return store


def _begin(stack: AsyncExitStack, *parts: Part) -> None:
    """Start the parts; ``stack`` closes them, also one that fails while it starts."""
    for part in parts:
        stack.push_async_callback(part.close)
        part.start()


def _give_signs_of_life(
    made_with: Foundation, manager: ServiceManager, stack: AsyncExitStack
) -> None:
    """Tell the service manager's watchdog that the event loop turns, to the last moment."""
    if manager.interval is not None:
        tasks = made_with.tasks.part()
        stack.push_async_callback(tasks.close)
        tasks.forever(manager.watch, "signs of life")


def _keep_history(made_with: Foundation, store: Store, stack: AsyncExitStack) -> None:
    """Forget cleared keys and old entries of the journal in the background, and delete old messages
    if the configuration says so."""
    tasks = made_with.tasks.part()
    stack.push_async_callback(tasks.close)
    forget = partial(retention.forget_keys, store, clock=made_with.clock.utc)
    tasks.forever(forget, "cleared keys")
    journal = made_with.config.journal
    forget_journal = partial(
        retention.forget_journal,
        store.journal,
        days=journal.keep_days,
        most=journal.entries,
        clock=made_with.clock.utc,
    )
    tasks.forever(forget_journal, "the journal: retention")
    keep_rooms = partial(retention.keep_rooms, store, clock=made_with.clock.utc)
    tasks.forever(keep_rooms, "retention of rooms")
    days = made_with.config.history.keep_days
    if days is not None:
        keep = partial(retention.keep, store, days=days, clock=made_with.clock.utc)
        tasks.forever(keep, "retention")


def _keep_sessions(
    made_with: Foundation, store: Store, gateway: Gateway, stack: AsyncExitStack
) -> None:
    """Delete old sessions, and note when the others were seen last, in the background."""
    tasks = made_with.tasks.part()
    stack.push_async_callback(tasks.close)
    known, registry = gateway.auth.known_sessions, gateway.live.registry

    async def write() -> None:
        identities = (connection.identity for connection in registry)
        await known.write(each.session for each in identities if each and each.session)

    tasks.forever(partial(retention.note_seen, write), "sessions: last seen")
    forget = partial(retention.forget_sessions, store, clock=made_with.clock.utc)
    tasks.forever(forget, "sessions: retention")


def _open(
    made_with: Foundation, gateway: Gateway, inherited: InheritedSockets, stack: AsyncExitStack
) -> tuple[Listener, Listener]:
    """Open the public and the internal listener. Raises :class:`ConfigError`,
    :class:`StartError`."""
    f, server, descriptors = made_with, made_with.config.server, made_with.descriptors
    places = Place.of_public(server), Place.of_internal(server)
    public = Listener(
        gateway.public,
        what=places[0].what,
        events=f.events,
        tls=None if server.tls is None else tls.for_clients(server.tls),
        capacity=Capacity(
            f.budgets,
            gateway.services.trusted_proxies,
            descriptors=descriptors.for_clients,
            spare=min(SPARE, descriptors.for_probes),
            rotation=f.rotation,
            known=gateway.services.credentials.claimed,
            headers=server.proxy_protocol,
        ),
        path=server.path,
    )
    internal = Listener(
        gateway.internal,
        what=places[1].what,
        events=f.events,
        capacity=FixedCapacity(
            _INTERNAL_CONNECTIONS,
            descriptors=descriptors.for_operators,
            spare=min(SPARE, descriptors.for_probes // 2),
            rotation=f.rotation,
        ),
        body_bytes=_INTERNAL_BODY,
    )
    # Closed from the bottom up: RabbitMQ asks the internal listener about relays until the last one
    # is gone, and posts in hand are answered before their sockets are cut. Until then load
    # balancers see that this gateway is not ready, and new clients are sent away.
    stack.push_async_callback(internal.close)
    stack.push_async_callback(public.close)
    stack.push_async_callback(gateway.messages.pipeline.close)
    stack.push_async_callback(gateway.live.partings.close, within=server.stop_timeout / 4)
    stack.push_async_callback(
        gateway.live.registry.close, leaving(), within=server.stop_timeout / 4
    )
    if shortage := networks_shortage(server):
        logger.warning("%s: %s", shortage, NETWORKS_NEEDED)
    public.make_room_for(gateway.auth.credentials.token_bytes)
    internal.open(places[1], inherited.take(places[1].name))
    public.open(places[0], inherited.take(places[0].name))
    return public, internal


def _tasks() -> Tasks:
    """All background work; other failures in the event loop are kept there, too."""
    tasks = Tasks()
    asyncio.get_running_loop().set_exception_handler(partial(_unforeseen, tasks.failures))
    return tasks


def _unforeseen(
    failures: Failures, loop: asyncio.AbstractEventLoop, context: dict[str, Any]
) -> None:
    """Note an exception that no part of the gateway has caught, in a callback or in a task without
    an owner."""
    fault = context.get("exception")
    if isinstance(fault, Exception) and not isinstance(fault, OSError):
        failures.note("event loop", fault, consequence=f": {context['message']}")
    else:
        # A socket that breaks is not a fault.
        loop.default_exception_handler(context)
