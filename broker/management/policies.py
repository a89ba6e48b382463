"""The policy that private queues need, and whether a virtual host's policies give it. Pure.

One policy applies to a queue: of those whose pattern matches its name, the one with the highest
priority. An operator policy comes on top, and the smaller number counts.
https://www.rabbitmq.com/docs/policies
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from broker.management.versions import Version
from broker.topology import (
    PRIVATE_QUEUE_BYTES,
    PRIVATE_QUEUE_DELIVERY_LIMIT,
    PRIVATE_QUEUE_MESSAGES,
    Audience,
    Stream,
    Topology,
)

#: Milliseconds until a queue takes back the messages of a consumer whose node is away, and serves
#: the next consumer. RabbitMQ 4.3 waits for 60,000; older versions do so at once and know no such
#: key. conf/rabbitmq/advanced.config sets the same for all queues of a node.
CONSUMER_DISCONNECTED_MS: Final = 0

_LIMIT, _DISCONNECTED = "delivery-limit", "consumer-disconnected-timeout"
_DEAD_LETTERS: Final = "dead-letter-exchange"
_BOUNDS: Final = {"max-length": PRIVATE_QUEUE_MESSAGES, "max-length-bytes": PRIVATE_QUEUE_BYTES}
_OF_QUEUES: Final = ("queues", "quorum_queues", "all")


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy of a virtual host, or an operator policy, as the management API has it."""

    name: str
    pattern: str
    definition: Mapping[str, Any]
    priority: int = 0
    apply_to: str = "queues"

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Policy:
        """A policy from the management API's JSON."""
        return cls(
            entry["name"],
            entry["pattern"],
            entry["definition"],
            entry["priority"],
            entry["apply-to"],
        )

    @property
    def body(self) -> dict[str, Any]:
        """The JSON that sets this policy at the management API."""
        return {
            "pattern": self.pattern,
            "definition": dict(self.definition),
            "priority": self.priority,
            "apply-to": self.apply_to,
        }

    def applies_to(self, queue: str) -> bool:
        """Whether this policy is a candidate for a quorum queue of this name."""
        if self.apply_to not in _OF_QUEUES:
            return False
        try:
            return re.search(self.pattern, queue) is not None
        except re.error:
            # Erlang's expressions know more than Python's; such a policy may or may not match.
            return True

    def command(self, vhost: str) -> str:
        """The command of RabbitMQ's own tools that sets this policy."""
        given = (self.name, self.pattern, json.dumps(dict(self.definition)))
        return (
            f"rabbitmqctl set_policy -p {shlex.quote(vhost)} --priority {self.priority}"
            f" --apply-to {self.apply_to} {shlex.join(given)}"
        )

    def __str__(self) -> str:
        definition = ", ".join(f"{key} = {value}" for key, value in self.definition.items())
        return f"{self.name} (priority {self.priority}): {definition}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A policy to set, because of ``problem``.

    ``instead_of``: the policy that then no longer applies to private queues.
    """

    problem: str
    policy: Policy
    instead_of: Policy | None = None


def needed(version: Version) -> dict[str, int]:
    """The definition that private queues need at this version of RabbitMQ.

    The delivery limit matters from 4.0 on. Older versions get it, too, so that it is there when
    they are upgraded.
    """
    definition = {_LIMIT: PRIVATE_QUEUE_DELIVERY_LIMIT}
    if version >= (4, 3):
        definition[_DISCONNECTED] = CONSUMER_DISCONNECTED_MS
    return definition


def plan(policies: Iterable[Policy], *, topology: Topology, version: Version) -> Plan | None:
    """The change that is missing among a virtual host's policies; None: all is well."""
    wanted, queue = needed(version), _sample(topology)
    candidates = [policy for policy in policies if policy.applies_to(queue)]
    name = f"{topology.prefix}.private"
    # Of two policies with the same priority it is not defined which one applies.
    above = [policy.priority + 1 for policy in candidates if policy.name != name]
    own = Policy(
        name,
        pattern=rf"^{topology.prefix}.private.".replace(".", r"\."),
        # The rest is for queues that an earlier version of the gateway declared.
        definition={**wanted, **_BOUNDS, _DEAD_LETTERS: topology.parking.exchange},
        priority=max(above, default=0),
    )
    if not candidates:
        return Plan("no policy applies to the private queues", own)
    first = max(policy.priority for policy in candidates)
    for policy in candidates:
        sets = own.definition if policy.name == name else wanted
        short = _shortcoming(policy, wanted) or _absence(policy, sets)
        if policy.priority == first and short:
            problem = f"the policy {policy.name} applies to the private queues: {short}"
            return Plan(problem, own, None if policy.name == name else policy)
    return None


def obstacle(
    operator_policies: Iterable[Policy], *, topology: Topology, version: Version
) -> str | None:
    """The operator policy that no ordinary policy can outweigh, and what is wrong with it."""
    for policy in operator_policies:
        short = _shortcoming(policy, needed(version))
        if short and policy.applies_to(_sample(topology)):
            return f"the operator policy {policy.name} applies to the private queues: {short}"
    return None


def _sample(topology: Topology) -> str:
    return topology.routing_key(Stream(Audience.PRIVATE, 1))


def _shortcoming(policy: Policy, wanted: Mapping[str, int]) -> str | None:
    """The fault of what the policy sets."""
    limit, patience = policy.definition.get(_LIMIT), policy.definition.get(_DISCONNECTED)
    # Less than zero: none.
    if limit is not None and 0 <= limit < wanted[_LIMIT]:
        return f"{_LIMIT} = {limit}: a message is dropped after as many lost connections"
    if patience is not None and patience > wanted.get(_DISCONNECTED, patience):
        return f"{_DISCONNECTED} = {patience}: as many ms without messages after a node's death"
    return None


def _absence(policy: Policy, wanted: Mapping[str, Any]) -> str | None:
    """The fault of what the policy leaves to RabbitMQ's defaults."""
    absent = [key for key in wanted if key not in policy.definition]
    return f"it does not set {', '.join(absent)}" if absent else None
