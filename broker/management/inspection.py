"""Inspection of a cluster with an administrator's login, and the setting of what is missing."""

from __future__ import annotations

from dataclasses import dataclass

from broker.management.client import ADMINISTRATOR, ManagementApi, ManagementRefused
from broker.management.policies import Plan, Policy, obstacle, plan
from broker.management.versions import Version, read_version
from broker.topology import Topology


@dataclass(frozen=True, slots=True)
class Inspection:
    """RabbitMQ's version, the change that is missing, and what only somebody else can change.

    None: nothing.
    """

    version: Version
    plan: Plan | None
    obstacle: str | None


async def inspect(api: ManagementApi, topology: Topology, *, vhost: str) -> Inspection:
    """Look at the version and the policies; nothing is changed.

    Raises :class:`broker.management.client.ManagementFailed`.
    """
    user = await api.get("whoami")
    if ADMINISTRATOR not in _tags(user["tags"]):
        raise ManagementRefused(
            f"{api.address}: user {user['name']!r} has no tag {ADMINISTRATOR}; run: rabbitmqctl"
            f" set_user_tags {user['name']} {ADMINISTRATOR}"
        )
    version = read_version((await api.get("overview"))["rabbitmq_version"])
    policies = [Policy.read(each) for each in await api.get("policies", vhost)]
    operators = [Policy.read(each) for each in await api.get("operator-policies", vhost)]
    return Inspection(
        version,
        plan(policies, topology=topology, version=version),
        obstacle(operators, topology=topology, version=version),
    )


async def carry_out(api: ManagementApi, planned: Plan, *, vhost: str) -> None:
    """Set the planned policy. Raises :class:`broker.management.client.ManagementFailed`."""
    await api.put("policies", vhost, planned.policy.name, body=planned.policy.body)


def _tags(told: str | list[str]) -> set[str]:
    """A user's tags: older versions join them by commas."""
    return set(told.split(",")) if isinstance(told, str) else set(told)
