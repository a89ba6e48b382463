"""The doctor: it finds the faults of an installation, and says how to repair each."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Final

from cryptography import x509

from broker.dialling import DialError, LoginRefused
from broker.feeds.trial import try_feed
from broker.management.client import ManagementFailed
from broker.management.versions import NEWEST, OLDEST, read_version, series
from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.publishing import provision
from broker.publishing.channels import AMQP_ERRORS, describe
from broker.publishing.link import LinkFailed
from broker.publishing.parked import ParkedMessages
from broker.publishing.provision import Check
from broker.quirks import delivery_limit
from broker.webstomp.session import dial, log_in
from gateway import tls
from gateway.auth.access import AccessRules
from gateway.auth.documents import KeySetUnavailable
from gateway.auth.jwks import read_key_set
from gateway.auth.passcodes import Passcodes
from gateway.auth.shared_secret import SharedSecret
from gateway.auth.tokens import key_source, published_keys
from gateway.cli import administrator, listening
from gateway.cli.administrator import Access
from gateway.cli.findings import Finding
from gateway.cli.serving_gateway import its_states
from gateway.config import Config, ConfigError, Jwt
from gateway.descriptors import Descriptors
from gateway.domain.identity import Identity
from gateway.errors import GatewayError, StoreUnavailable
from gateway.http import app
from gateway.http.built_pages import NotBuilt, load
from gateway.http.internal_access import NETWORKS_NEEDED, networks_shortage
from gateway.store import Store

#: A certificate that ends sooner is reported.
_RENEW_WITHIN: Final = timedelta(days=14)
#: A user that RabbitMQ does not have, so that it must ask the gateway.
_NOBODY: Final = "gateway-doctor"
#: RabbitMQ's built-in account, whose password everyone knows.
_GUEST: Final = "guest"


async def examine(
    config: Config, access: Access | None = None, *, remedy: str
) -> AsyncIterator[Finding]:
    """Check everything the gateway needs; nothing is changed, and a queue for a trial comes and
    goes.

    ``access``: an administrator's, to look at policies. ``remedy``: the command that sets them.
    """
    yield _origins(config)
    for finding in await listening.listeners(config.server):
        yield finding
    yield _internal_access(config)
    yield _open_files(config)
    yield _access(config)
    yield _certificate(config)
    yield _frames(config)
    yield _pages(app.STATIC, built=config.server.pages == "built")
    async for finding in _tokens(config):
        yield finding
    for finding in await its_states(config.server):
        yield finding
    rooms, finding = await _database(config)
    yield finding
    try:
        context = tls.for_broker(config.broker.tls)
    except ConfigError as error:
        yield Finding("TLS towards RabbitMQ", str(error), "see broker.tls")
        return
    nodes = config.broker.listed
    for node in nodes:
        async for finding in _node(config, node, context):
            yield finding
    for finding in await _private_queues(config, nodes, context, rooms=rooms, remedy=remedy):
        yield finding
    for finding in await _policies(access, remedy):
        yield finding


def _origins(config: Config) -> Finding:
    what = "origins of pages"
    origins = config.server.origins
    if not origins:
        return Finding(
            what,
            "server.origins is empty: no page in a browser can use the gateway",
            "list the addresses of the pages as browsers show them, e.g. https://school.example",
        )
    insecure = [origin for origin in origins if origin.startswith("http://")]
    if config.server.tls is not None and insecure:
        return Finding(
            what,
            f"{', '.join(insecure)}: not https, while the gateway speaks TLS",
            "list the https:// origins in server.origins",
        )
    return Finding(f"{what}: {', '.join(origins)}")


def _internal_access(config: Config) -> Finding:
    what = "access to the internal listener"
    if shortage := networks_shortage(config.server):
        return Finding(what, shortage, NETWORKS_NEEDED)
    return Finding(what)


def _open_files(config: Config) -> Finding:
    descriptors = Descriptors.found(config)
    what = f"open files: {descriptors.limit}"
    if (shortage := descriptors.shortage(config)) is None:
        return Finding(what)
    return Finding(what, shortage.problem, shortage.mend)


def _access(config: Config) -> Finding:
    what = "access rules"
    try:
        AccessRules(config.access, home=config.broker.vhost)
    except ConfigError as error:
        return Finding(what, str(error), "see access in the configuration")
    return Finding(f"{what}: {len(config.access)}")


def _certificate(config: Config) -> Finding:
    what = "TLS towards clients"
    if config.server.tls is None:
        return Finding(f"{what}: none (a proxy in front of the gateway must provide it)")
    try:
        tls.for_clients(config.server.tls)
        certificate = x509.load_pem_x509_certificate(config.server.tls.certificate.read_bytes())
    except ConfigError as error:
        return Finding(what, str(error), "see server.tls")
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    if left < _RENEW_WITHIN:
        ends = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
        return Finding(what, f"the certificate ends on {ends}", "renew it and restart the gateway")
    return Finding(what)


def _pages(static: Path, *, built: bool) -> Finding:
    mend = "run in the checkout: PYTHONPATH=scripts python3 -m devenv.vendor; then install it again"
    library = static / "vendor" / "stompjs" / "index.js"
    if not library.exists():
        return Finding("pages", f"the pages lack the browser libraries: {library} is missing", mend)
    if built:
        try:
            load(static / "built")
        except NotBuilt as error:
            return Finding(
                "pages", f"they are not built, and cost a hundred requests each: {error}", mend
            )
    return Finding("pages")


def _frames(config: Config) -> Finding:
    """A check of the keys about frames: combinations that cannot work are named."""
    what, server = "pages in frames of others", config.server
    around, cookies = server.frame_ancestors, server.cookies
    if not around and cookies == "cross-site":
        return Finding(
            what,
            'server.cookies is "cross-site", but no page may show the rooms in a frame',
            'list the origins in server.frame_ancestors, or set server.cookies to "same-site"',
        )
    if not around:
        return Finding(f"{what}: none may be (server.frame_ancestors)")
    over_tls = server.tls is not None or server.trusted_proxies
    if cookies == "cross-site" and not over_tls:
        return Finding(
            what,
            'server.cookies is "cross-site", but browsers take such a cookie over TLS only',
            "set server.tls, or let a proxy of server.trusted_proxies end TLS",
        )
    insecure = [origin for origin in around if origin.startswith("http://")]
    if insecure and over_tls:
        return Finding(
            what,
            f"{', '.join(insecure)}: a page that is not https gets no cookie of one that is",
            "list the https:// origins in server.frame_ancestors",
        )
    return Finding(f"{what}: {', '.join(around)}, with {cookies} cookies")


async def _tokens(config: Config) -> AsyncIterator[Finding]:
    if not config.auth.every_issuer:
        yield Finding("tokens (auth.jwt): not configured; only local accounts can log in")
    for table, issuer in config.auth.every_issuer:
        yield await _issuer(table, issuer)


async def _issuer(table: str, issuer: Jwt) -> Finding:
    what = f"tokens of {issuer.issuer} ({table})"
    try:
        key_source(issuer, clock=time.monotonic, table=table)
        if issuer.discovery or issuer.jwks_url is not None:
            read_key_set(await published_keys(issuer, table=table)(), issuer.algorithms)
    except ConfigError as error:
        return Finding(what, str(error), f"see {table}")
    except KeySetUnavailable as error:
        return Finding(
            what,
            str(error),
            f"check {table}: {'issuer' if issuer.discovery else 'jwks_url'}, ca_file and proxy; its"
            " tokens are refused meanwhile",
        )
    return Finding(what)


async def _database(config: Config) -> tuple[list[int], Finding]:
    """Check the database; returns the rooms that are open, as far as it says."""
    try:
        store = await Store.open(
            config.store.url.get_secret_value(),
            call_timeout=config.store.timeout,
            connections=config.store.connections,
        )
    except GatewayError as error:
        mend = "run: gateway migrate, if it says so; otherwise check store.url"
        return [], Finding("database", error.detail, mend)
    what = f"database {store.name}"
    try:
        rooms = await store.open_rooms()
        has_accounts = bool(await store.accounts())
        await store.prove()
        await store.end_lease()
    except StoreUnavailable as error:
        return [], Finding(
            what,
            f"it cannot be written: {error.reason or error.detail}",
            "check whether its disk is full or read-only, it is a standby, or another program "
            "locks it",
        )
    finally:
        await store.close()
    if not config.auth.every_issuer and not has_accounts:
        return rooms, Finding(
            what,
            "there is no account, and no tokens are accepted: nobody can log in",
            "run: gateway user add NAME --role host",
        )
    return rooms, Finding(f"{what} {store.schema}")


async def _node(config: Config, node: Node, context: ssl.SSLContext) -> AsyncIterator[Finding]:
    broker = config.broker
    own = config.broker.account

    async def web_stomp(credentials: Credentials) -> None:
        secure = context if node.web_stomp.startswith("wss:") else None
        stream = await dial(node, timeout=broker.dial_timeout, ssl_options=secure)
        (await log_in(stream, credentials, timeout=broker.dial_timeout)).close()

    mend = f"check that the node is up, and web_stomp, user and password: {node.web_stomp}"
    reached = await _tried(f"{node.name}: Web-STOMP as {own.login}", lambda: web_stomp(own), mend)
    yield reached
    for finding in await _amqp(config, node, context):
        yield finding
    yield await _feed(config, node, context)
    if reached.problem is None:
        yield await _no_guest(node, lambda: web_stomp(Credentials(_GUEST, _GUEST, own.vhost)))
        yield await _tried(
            f"{node.name}: asks a gateway about users",
            lambda: web_stomp(Credentials(_NOBODY, _passcode(config), own.vhost)),
            "a gateway with the same auth.secret must serve where auth_http.user_path in"
            " rabbitmq.conf points: its internal listener, path /broker/auth/user",
        )


async def _tried(what: str, check: Callable[[], Awaitable[None]], mend: str) -> Finding:
    try:
        await check()
    except DialError as error:
        return Finding(what, error.what, _mend_dial(error.what, mend))
    return Finding(what)


async def _feed(config: Config, node: Node, context: ssl.SSLContext) -> Finding:
    broker = config.broker
    topology = broker.topology

    async def stands() -> None:
        await try_feed(
            node,
            broker.account,
            queue=topology.feed_queue("doctor", 0, token_hex(4)),
            key=topology.gateways_key,
            timeout=broker.dial_timeout,
            tls=context,
        )

    return await _tried(
        f"{node.name}: the queue of a feed",
        stands,
        "run: rabbitmqctl set_permissions, see conf/rabbitmq/rabbitmq.conf",
    )


def _mend_dial(problem: str, mend: str) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in problem:
        return "broker.tls.ca_file must name the authority of RabbitMQ's certificate (PEM)"
    return mend


async def _no_guest(node: Node, log_in_as_guest: Callable[[], Awaitable[None]]) -> Finding:
    what = f"{node.name}: the account {_GUEST} is removed"
    try:
        await log_in_as_guest()
    except LoginRefused:
        return Finding(what)
    except DialError as error:
        return Finding(what, error.what)
    return Finding(
        what,
        "everyone who can reach the node can log in with its well-known password",
        f"run: rabbitmqctl delete_user {_GUEST}",
    )


async def _amqp(config: Config, node: Node, context: ssl.SSLContext) -> list[Finding]:
    try:
        told = await provision.server_version(
            node, config.broker.account, timeout=config.broker.dial_timeout, ssl_context=context
        )
        checks = await _verify(config, node, context, rooms=[])
    except LinkFailed as error:
        what = f"{node.name}: AMQP as {config.broker.user}"
        return [Finding(what, error.reason, _mend_dial(error.reason, f"check {node.amqp}"))]
    mend = "run: rabbitmqctl set_permissions, see conf/rabbitmq/rabbitmq.conf"
    return [
        _supported(node, told),
        *(
            Finding(f"{node.name}: {check.what}", check.problem, mend if check.problem else None)
            for check in checks
        ),
    ]


def _supported(node: Node, told: str) -> Finding:
    what = f"{node.name}: RabbitMQ {told}"
    version = read_version(told)
    if version < OLDEST:
        return Finding(what, f"older than {series(OLDEST)}", "upgrade RabbitMQ")
    if version[:2] > NEWEST:
        return Finding(f"{what}; the gateway was tested with {series(NEWEST)} at most")
    return Finding(what)


async def _private_queues(
    config: Config, nodes: list[Node], context: ssl.SSLContext, *, rooms: list[int], remedy: str
) -> list[Finding]:
    """Check the private queues through the first node that answers: the nodes share them."""
    what = f"private queues of {len(rooms)} open rooms"
    last: Exception | None = None
    for node in nodes:
        try:
            checks = await _verify(config, node, context, rooms=rooms)
            found = [
                _private_queues_of(what, checks),
                await _patience(config, node, context, earlier=False, remedy=remedy),
                await _parked(config, node, context),
            ]
            if any(check.remark == provision.EARLIER for check in checks):
                found.append(await _patience(config, node, context, earlier=True, remedy=remedy))
        except LinkFailed as error:
            last = error
            continue
        return found
    return [Finding(what, skipped=f"no node could be asked, the last one for this: {last}")]


def _private_queues_of(what: str, checks: list[Check]) -> Finding:
    wrong = [check for check in checks if check.problem not in (None, provision.MISSING)]
    if wrong:
        return Finding(
            what,
            f"{len(wrong)} cannot be used, e.g. {wrong[0].what}: {wrong[0].problem}",
            "delete it in RabbitMQ and run: gateway topology apply; its messages are in the"
            " history too",
        )
    # No problem: a queue expires when its host stays away, and is declared again when one comes.
    absent = sum(check.problem is not None for check in checks)
    return Finding(f"{what}; {absent} will be declared when their hosts come")


async def _patience(
    config: Config, node: Node, context: ssl.SSLContext, *, earlier: bool, remedy: str
) -> Finding:
    """Raises :class:`LinkFailed`."""
    whose = "earlier versions' private queues" if earlier else "new private queues"
    what = f"messages of {whose} outlive {delivery_limit.DELIVERIES} lost connections"
    kept = await delivery_limit.survives(
        node,
        config.broker.account,
        config.broker.topology,
        earlier=earlier,
        timeout=config.broker.dial_timeout,
        ssl_context=context,
    )
    if kept:
        return Finding(what)
    why = "RabbitMQ 4's own limit" if earlier else "the delivery-limit of a policy"
    return Finding(what, f"they are dropped by {why}", f"run: {remedy}")


async def _parked(config: Config, node: Node, context: ssl.SSLContext) -> Finding:
    """Raises :class:`LinkFailed`."""
    broker = config.broker
    topology = broker.topology
    what = f"messages that were too large for hosts (the queue {topology.parking.queue})"
    parked = await ParkedMessages.open(
        node, broker.account, topology, timeout=broker.dial_timeout, ssl_context=context
    )
    try:
        try:
            oldest = await parked.oldest()
        finally:
            await parked.close()
    except AMQP_ERRORS as error:
        raise LinkFailed(node.name, describe(error)) from error
    if oldest is None:
        return Finding(what)
    message, number = oldest
    return Finding(
        what,
        f"{number} are parked; the oldest since {message.at:%Y-%m-%d %H:%M:%S} UTC:"
        f" {len(message.taken.body)} bytes from {message.queue}",
        "look at them by `gateway parked list`, then `gateway parked drop`, or raise"
        " limits.upstream_frame_bytes and `gateway parked put-back`",
    )


async def _policies(access: Access | None, remedy: str) -> list[Finding]:
    if access is None:
        return [administrator.not_seen(remedy.replace("topology apply", "doctor"))]
    try:
        found = await access.inspect()
    except ManagementFailed as error:
        mend = "check --admin, its password and --management"
        return [Finding("policies of the private queues", str(error), mend)]
    return administrator.findings(found, mend=remedy)


async def _verify(
    config: Config, node: Node, context: ssl.SSLContext, *, rooms: list[int]
) -> list[Check]:
    return await provision.verify(
        node,
        config.broker.account,
        config.broker.topology,
        rooms=rooms,
        timeout=config.broker.dial_timeout,
        ssl_context=context,
    )


def _passcode(config: Config) -> str:
    passcodes = Passcodes(SharedSecret(*config.auth.secrets), clock=time.time)
    return passcodes.issue(Identity(_NOBODY, frozenset(), time.time() + 60))
