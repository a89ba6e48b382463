"""The options that name an administrator of RabbitMQ, and what such a login sees of the cluster."""

from __future__ import annotations

import argparse
import getpass
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from broker.management.client import (
    Administrator,
    ManagementApi,
    ManagementFailed,
    ManagementRefused,
    address_of,
    is_address,
)
from broker.management.inspection import Inspection, carry_out, inspect
from broker.management.policies import Plan
from broker.topology import Topology
from gateway import tls
from gateway.cli.findings import Finding
from gateway.cli.running import Unusable, WrongOptions
from gateway.config import Config

#: Seconds for one call of the management API.
_TIMEOUT = 10.0
_PRIVATE = "policies of the private queues"


@dataclass(frozen=True, slots=True)
class Access:
    """An administrator's way to the management API of some node: the first that answers.

    The methods raise :class:`broker.management.client.ManagementFailed`.
    """

    administrator: Administrator
    addresses: Sequence[str]
    topology: Topology
    vhost: str
    ssl_context: ssl.SSLContext

    async def inspect(self) -> Inspection:
        """See :func:`broker.management.inspection.inspect`."""
        return (await self._first())[1]

    async def carry_out(self, planned: Plan) -> Inspection:
        """Set the planned policy; what is to be seen afterwards."""
        api, _ = await self._first()
        await carry_out(api, planned, vhost=self.vhost)
        return await inspect(api, self.topology, vhost=self.vhost)

    async def _first(self) -> tuple[ManagementApi, Inspection]:
        failures = []
        for address in self.addresses:
            api = ManagementApi(
                address, self.administrator, timeout=_TIMEOUT, ssl_context=self.ssl_context
            )
            try:
                return api, await inspect(api, self.topology, vhost=self.vhost)
            except ManagementRefused:
                raise
            except ManagementFailed as error:
                failures.append(str(error))
        raise ManagementFailed("no management API answers:\n  " + "\n  ".join(failures))


def access(options: argparse.Namespace, settings: Config) -> Access | None:
    """The access that the options name; None if they name no administrator.

    Asks for the password on the terminal. Raises :class:`WrongOptions`, :class:`Unusable`.
    """
    for given, name in (
        (options.password_stdin, "--password-stdin"),
        (options.management, "--management"),
    ):
        if given and options.admin is None:
            raise WrongOptions(f"{name} is of no use without --admin NAME")
    if options.admin is None:
        return None
    for address in options.management or ():
        if not is_address(address):
            raise WrongOptions(
                f"--management {address}: give http://host:port or https://host:port, without a"
                f" login"
            )
    broker = settings.broker
    return Access(
        Administrator(options.admin, _password(options)),
        # Each once: several nodes may have the same host.
        tuple(dict.fromkeys(options.management or (address_of(n.amqp) for n in broker.listed))),
        broker.topology,
        broker.vhost,
        tls.for_broker(broker.tls),
    )


def _password(options: argparse.Namespace) -> str:
    if options.password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        password = getpass.getpass(f"Password of RabbitMQ's user {options.admin}: ")
    else:
        raise Unusable("there is no terminal to ask for the password; use --password-stdin")
    if not password:
        raise Unusable(f"the password of RabbitMQ's user {options.admin} is empty")
    return password


def remedy(options: argparse.Namespace) -> str:
    """The command that sets what is missing."""
    name = options.admin or "ADMINISTRATOR"
    return f"gateway --config {options.config} topology apply --admin {name}"


def findings(found: Inspection, *, mend: str) -> list[Finding]:
    """The findings of an inspection; ``mend`` is the command that sets what is missing."""
    results = []
    if found.plan is not None:
        results.append(Finding(_PRIVATE, found.plan.problem, f"run: {mend}"))
    if found.obstacle is not None:
        results.append(
            Finding(
                _PRIVATE,
                found.obstacle,
                "its owner must change it: rabbitmqctl list_operator_policies",
            )
        )
    return results or [Finding(_PRIVATE)]


def not_seen(command: str) -> Finding:
    """The finding of a command that was given no administrator."""
    return Finding(_PRIVATE, skipped=f"only an administrator sees them: {command}")
