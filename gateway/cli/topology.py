"""The command ``gateway topology``: sets what the gateway needs in RabbitMQ, or looks at it.

The rooms' queues are declared with the gateway's own account. Policies need an administrator.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Coroutine
from typing import Any

from broker.management.client import ManagementFailed
from broker.management.policies import Plan
from broker.publishing import provision
from broker.publishing.link import LinkFailed
from broker.publishing.provision import MISSING, Check
from gateway import tls
from gateway.cli import administrator
from gateway.cli.administrator import Access
from gateway.cli.findings import Finding, say, tell
from gateway.cli.running import Unusable, run, with_store
from gateway.config import Config
from gateway.errors import StoreUnavailable


def apply(options: argparse.Namespace, settings: Config) -> int:
    """Declare the private queues of all open rooms, or of those given by --room, and with --admin
    set the policy that they need."""
    access = administrator.access(options, settings)
    if options.dry_run:
        checks = _on_some_node(settings, options.room, provision.verify)
        for check in checks:
            if check.problem == MISSING:
                say(f"would  declare {check.what}")
        code = tell(_finding(check) for check in checks if check.problem != MISSING)
    else:
        code = tell(map(_finding, _on_some_node(settings, options.room, provision.apply)))
    if access is None:
        return code or tell([_not_seen(options)])
    return max(code, _set_policies(access, options, settings))


def show(options: argparse.Namespace, settings: Config) -> int:
    """Show whether RabbitMQ has what the gateway needs, without changing anything."""
    access = administrator.access(options, settings)
    code = tell(map(_finding, _on_some_node(settings, options.room, provision.verify)))
    if access is None:
        return code or tell([_not_seen(options)])
    try:
        found = run(access.inspect())
    except ManagementFailed as error:
        raise Unusable(str(error)) from error
    return max(code, tell(administrator.findings(found, mend=administrator.remedy(options))))


def _set_policies(access: Access, options: argparse.Namespace, settings: Config) -> int:
    try:
        found = run(access.inspect())
        if found.plan is not None and options.dry_run:
            _announce("would  set", found.plan)
            say(f"       as by: {found.plan.policy.command(settings.broker.vhost)}")
            return 0
        if found.plan is not None:
            _announce("set   ", found.plan)
            found = run(access.carry_out(found.plan))
    except ManagementFailed as error:
        raise Unusable(str(error)) from error
    return tell(administrator.findings(found, mend=administrator.remedy(options)))


def _announce(verb: str, planned: Plan) -> None:
    say(f"{verb} policy {planned.policy}, because {planned.problem}")
    if planned.instead_of is not None:
        say(f"       the policy {planned.instead_of} no longer applies to private queues")


def _on_some_node(
    settings: Config, rooms: list[int] | None, work: Callable[..., Coroutine[Any, Any, list[Check]]]
) -> list[Check]:
    """Work on the first node that answers: the cluster's nodes share the topology."""
    broker = settings.broker
    context = tls.for_broker(broker.tls)
    if rooms is None:
        rooms = _open_rooms(settings)
    failures = []
    for node in broker.listed:
        try:
            checks = run(
                work(
                    node,
                    broker.account,
                    broker.topology,
                    rooms=rooms,
                    timeout=broker.dial_timeout,
                    ssl_context=context,
                )
            )
        except LinkFailed as error:
            failures.append(str(error))
        else:
            say(f"{node.name}: {len(rooms)} rooms")
            return checks
    raise Unusable("no node of the cluster can be used:\n  " + "\n  ".join(failures))


def _open_rooms(settings: Config) -> list[int]:
    try:
        return run(with_store(settings, lambda store: store.open_rooms()))
    except StoreUnavailable as error:
        if not error.empty:
            raise
        # RabbitMQ may be set up first; the gateway declares each room's queue anyway.
        say("the database has no tables yet, so there are no rooms; `gateway migrate` makes them")
        return []


def _finding(check: Check) -> Finding:
    what = check.what if check.remark is None else f"{check.what} ({check.remark})"
    return Finding(what, check.problem)


def _not_seen(options: argparse.Namespace) -> Finding:
    return administrator.not_seen(administrator.remedy(options))
