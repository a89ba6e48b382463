"""Patterns that the hub serves to a connection: what a new one costs, and when its rule is gone."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from broker.feeds.listener import Pattern
from broker.protocol.websocket import Opcode
from broker.topology import Topology
from gateway.auth.access import AccessRules
from gateway.auth.memberships import Memberships
from gateway.auth.permissions import Permissions
from gateway.budget.table import COPIES
from gateway.config import Access
from gateway.live.client.judge import Judge
from gateway.live.client.services import ConnectionServices
from gateway.live.hub.fanout import Subscriber
from gateway.live.hub.shared_patterns import SharedPatterns
from gateway.live.relay.charges import Charges
from gateway.live.relay.uplink import UplinkContext
from tests.budgets import budgets_of
from tests.integration.live.client.test_connection import NoEarlyDials, SlowTokens, connecting
from tests.unit.broker.amqp_node import eventually


class Patterns:
    """Patterns that everybody may join."""

    def __init__(self) -> None:
        self.followed: list[Pattern] = []

    def __contains__(self, pattern: Pattern) -> bool:
        return pattern in self.followed

    async def join(self, pattern: Pattern, subscriber: Subscriber) -> Callable[[], None]:
        self.followed.append(pattern)
        return lambda: self.followed.remove(pattern)


class Scene:
    """A connection of a host, to whom the rules open what is given."""

    def __init__(self, *opened: str) -> None:
        self.patterns = Patterns()
        self.rules = AccessRules([Access(roles=("host",), subscribe=opened)])
        self.tokens = SlowTokens()
        self.tokens.answer.set()
        self.budgets = budgets_of(
            broker_subscriptions_per_second=0.001, broker_subscriptions_burst=1
        )

    def services(self, made: ConnectionServices) -> ConnectionServices:
        permissions = Permissions(cast("Memberships", None), self.rules)
        routes = replace(
            made.routes,
            judge=Judge(permissions, Topology(), shared=True),
            patterns=cast("SharedPatterns", self.patterns),
            copies=self.budgets.cap(COPIES),
            uplinks=cast(
                "UplinkContext",
                SimpleNamespace(charges=Charges(self.budgets), early=NoEarlyDials()),
            ),
        )
        return replace(made, routes=routes)


_SUBSCRIBE = b"SUBSCRIBE\nid:s\ndestination:/topic/news.kr\nreceipt:1\n\n\0"


@pytest.mark.gen_test
async def test_a_withdrawn_rule_ends_what_it_has_opened() -> None:
    scene = Scene("/topic/news.#")
    async with connecting(scene.tokens, changed=scene.services) as client:
        await client.hears(b"CONNECTED")
        await client.says(Opcode.TEXT, _SUBSCRIBE)
        await client.hears(b"receipt-id:1")
        assert scene.patterns.followed == [Pattern("amq.topic", "news.kr")]
        # Another rule opens it, too.
        scene.rules.replace(AccessRules([Access(roles=("host",), subscribe=("/topic/news.*",))]))
        client.registry.rules_changed()
        await client.says(Opcode.TEXT, b"SEND\ndestination:/gateway/ping\nreceipt:2\n\n\0")
        await client.hears(b"receipt-id:2")
        scene.rules.replace(AccessRules([Access(roles=("host",), subscribe=("/topic/sport",))]))
        client.registry.rules_changed()
        command, headers, code = await client.is_refused()
    assert (command, headers["message"], code) == ("ERROR", "removed", 4003)
    await eventually(lambda: not scene.patterns.followed)


@pytest.mark.gen_test
async def test_what_has_ended_already_ends_nothing_more() -> None:
    scene = Scene("/topic/news.#")
    async with connecting(scene.tokens, changed=scene.services) as client:
        await client.hears(b"CONNECTED")
        await client.says(Opcode.TEXT, _SUBSCRIBE)
        await client.hears(b"receipt-id:1")
        await client.says(Opcode.TEXT, b"UNSUBSCRIBE\nid:s\nreceipt:2\n\n\0")
        await client.hears(b"receipt-id:2")
        scene.rules.replace(AccessRules([]))
        client.registry.rules_changed()
        for number in b"34":
            ping = b"SEND\ndestination:/gateway/ping\nreceipt:%c\n\n\0" % number
            await client.says(Opcode.TEXT, ping)
            await client.hears(b"receipt-id:%c" % number)
        assert not client.connection.ended


@pytest.mark.gen_test
async def test_a_new_pattern_costs_its_user_what_a_subscription_at_rabbitmq_costs() -> None:
    scene = Scene("/topic/news.#")
    async with connecting(scene.tokens, changed=scene.services) as client:
        await client.hears(b"CONNECTED")
        await client.says(Opcode.TEXT, _SUBSCRIBE)
        await client.hears(b"receipt-id:1")
        scene.patterns.followed.append(Pattern("amq.topic", "news.others"))
        await client.says(Opcode.TEXT, b"UNSUBSCRIBE\nid:s\nreceipt:2\n\n\0")
        await client.hears(b"receipt-id:2")
        subscribe = b"SUBSCRIBE\nid:s\ndestination:/topic/news.%b\nreceipt:3\n\n\0"
        await client.says(Opcode.TEXT, subscribe % b"others")
        await client.hears(b"receipt-id:3")
        await client.says(Opcode.TEXT, b"UNSUBSCRIBE\nid:s\nreceipt:4\n\n\0")
        await client.hears(b"receipt-id:4")
        await client.says(Opcode.TEXT, subscribe % b"new")
        _, headers, _ = await client.is_refused()
    assert headers["message"] == "too_many_subscriptions"
