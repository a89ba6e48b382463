"""Which policy the private queues lack, and what its command is."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import pytest

from broker.management.policies import Policy, obstacle, plan
from broker.management.versions import Version
from broker.topology import Topology

TOPOLOGY = Topology()
PATTERN = r"^acdm\.mo\.interact\.private\."
OLD, NEW = (3, 10, 8), (4, 3, 6)
LIMIT = {"delivery-limit": 1_000_000}
BOTH = {**LIMIT, "consumer-disconnected-timeout": 0}
#: What queues of earlier versions of the gateway lack.
BOUNDS: dict[str, object] = {
    "max-length": 10_000,
    "max-length-bytes": 64 * 1024 * 1024,
    "dead-letter-exchange": "acdm.mo.interact.parking",
}


def policy(
    name: str = "theirs", pattern: str = ".*", priority: int = 0, **definition: Any
) -> Policy:
    keys = {key.replace("_", "-"): value for key, value in definition.items()}
    return Policy(name, pattern, keys, priority)


@pytest.mark.parametrize(
    ("version", "definition"),
    [(OLD, LIMIT), ((4, 0, 5), LIMIT), ((4, 2, 9), LIMIT), ((4, 3), BOTH), (NEW, BOTH)],
)
def test_a_vhost_without_policies_lacks_one_and_has_it_afterwards(
    version: Version, definition: dict[str, int]
) -> None:
    missing = plan([], topology=TOPOLOGY, version=version)
    assert missing is not None
    assert missing.problem == "no policy applies to the private queues"
    assert missing.policy == Policy("acdm.mo.interact.private", PATTERN, definition | BOUNDS)
    assert missing.instead_of is None
    assert plan([missing.policy], topology=TOPOLOGY, version=version) is None


@pytest.mark.parametrize(
    "other",
    [
        policy(pattern="^payroll", delivery_limit=3),
        policy(pattern=r"^acdm\.mo\.interact\.public", delivery_limit=3),
        replace(policy(delivery_limit=3), apply_to="exchanges"),
        replace(policy(delivery_limit=3), apply_to="classic_queues"),
        replace(policy(delivery_limit=3), apply_to="streams"),
    ],
)
def test_policies_of_other_things_are_no_policies_of_private_queues(other: Policy) -> None:
    missing = plan([other], topology=TOPOLOGY, version=OLD)
    assert missing is not None
    assert missing.problem.startswith("no policy applies")
    assert missing.policy.priority == 0


def test_one_that_was_set_by_hand_under_another_name_is_enough() -> None:
    by_hand = policy("interact-private", PATTERN, delivery_limit=1_000_000)
    assert plan([by_hand], topology=TOPOLOGY, version=(4, 0, 5)) is None
    unlimited = policy("interact-private", PATTERN, delivery_limit=-1)
    assert plan([unlimited], topology=TOPOLOGY, version=(4, 0, 5)) is None


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        (policy(delivery_limit=20, priority=7), "delivery-limit = 20: a message is dropped"),
        (policy(delivery_limit=0, priority=7), "delivery-limit = 0: a message is dropped"),
        (policy(max_length=5, priority=7), "it does not set delivery-limit, consumer-disc"),
        (
            policy(delivery_limit=-1, consumer_disconnected_timeout=60_000, priority=7),
            "consumer-disconnected-timeout = 60000: as many ms",
        ),
    ],
)
def test_one_that_falls_short_is_outweighed_and_named(theirs: Policy, told: str) -> None:
    missing = plan([theirs], topology=TOPOLOGY, version=NEW)
    assert missing is not None
    assert told in missing.problem
    assert (missing.policy.priority, missing.instead_of) == (8, theirs)
    assert plan([theirs, missing.policy], topology=TOPOLOGY, version=NEW) is None


def test_our_own_that_was_set_for_an_older_version_is_replaced_by_itself() -> None:
    missing = plan([], topology=TOPOLOGY, version=OLD)
    assert missing is not None
    after_the_upgrade = plan([missing.policy], topology=TOPOLOGY, version=NEW)
    assert after_the_upgrade is not None
    assert after_the_upgrade.policy == replace(missing.policy, definition=BOTH | BOUNDS)
    assert after_the_upgrade.instead_of is None


@pytest.mark.parametrize(
    ("had", "lacks"),
    [
        ((), "max-length, max-length-bytes, dead-letter-exchange"),
        (("max-length", "max-length-bytes"), "dead-letter-exchange"),
    ],
)
def test_our_own_of_an_earlier_version_gets_what_it_lacks(had: tuple[str, ...], lacks: str) -> None:
    before = Policy("acdm.mo.interact.private", PATTERN, BOTH | {key: BOUNDS[key] for key in had})
    missing = plan([before], topology=TOPOLOGY, version=NEW)
    assert missing is not None
    assert missing.problem.endswith(f"it does not set {lacks}")
    assert missing.policy == replace(before, definition=BOTH | BOUNDS)


def test_of_two_with_one_priority_either_may_apply_so_that_both_must_do() -> None:
    good, bad = policy("good", delivery_limit=1_000_000), policy("bad", delivery_limit=2)
    missing = plan([good, bad], topology=TOPOLOGY, version=OLD)
    assert missing is not None
    assert (missing.policy.priority, missing.instead_of) == (1, bad)


def test_a_pattern_that_python_cannot_read_is_taken_to_match() -> None:
    possessive = policy(pattern="^(?|acdm)", delivery_limit=2)
    missing = plan([possessive], topology=TOPOLOGY, version=OLD)
    assert missing is not None
    assert missing.instead_of == possessive


def test_an_operator_policy_is_an_obstacle_only_where_it_lowers_something() -> None:
    for fine in (policy(max_length=9), policy(delivery_limit=-1), policy("x", "^other$")):
        assert obstacle([fine], topology=TOPOLOGY, version=NEW) is None
    told = obstacle([policy("guard", delivery_limit=20)], topology=TOPOLOGY, version=NEW)
    assert told is not None
    assert told.startswith("the operator policy guard applies to the private queues: delivery-l")


def test_another_prefix_has_a_policy_of_its_own() -> None:
    missing = plan([], topology=Topology("school-7.live"), version=OLD)
    assert missing is not None
    assert (missing.policy.name, missing.policy.pattern) == (
        "school-7.live.private",
        r"^school-7\.live\.private\.",
    )
    assert missing.policy.applies_to("school-7.live.private.12")
    assert not missing.policy.applies_to("school-7-live.private.12")


def test_the_command_for_rabbitmqs_own_tool_can_be_pasted_into_a_shell() -> None:
    missing = plan([], topology=TOPOLOGY, version=NEW)
    assert missing is not None
    assert shlex.split(missing.policy.command("a b")) == [
        *("rabbitmqctl", "set_policy", "-p", "a b", "--priority", "0", "--apply-to", "queues"),
        "acdm.mo.interact.private",
        PATTERN,
        '{"delivery-limit": 1000000, "consumer-disconnected-timeout": 0,'
        ' "max-length": 10000, "max-length-bytes": 67108864,'
        ' "dead-letter-exchange": "acdm.mo.interact.parking"}',
    ]


def test_a_policy_is_told_with_what_it_sets() -> None:
    told = str(policy("house", priority=3, delivery_limit=2, max_length=9))
    assert told == "house (priority 3): delivery-limit = 2, max-length = 9"


def test_a_policy_is_read_as_it_was_written() -> None:
    ours = policy("a", PATTERN, 3, delivery_limit=1)
    assert Policy.read({"name": "a", "vhost": "/", **ours.body}) == ours
