"""Whose durable queues are counted."""

import pytest

from broker.protocol.stomp import Frame
from gateway.budget.budgets import Budgets
from gateway.config import Limits
from gateway.domain.broker_login import BrokerLogin
from gateway.domain.identity import Identity
from gateway.errors import TooManyQueues
from gateway.limits import LiveLimits
from gateway.live.relay.declared_queues import DeclaredQueues
from tests.fake_clock import FakeClock


def test_those_that_rabbitmqs_own_users_declare_are_rabbitmqs_matter() -> None:
    # A login that a thousand browsers share would use up the names of all in a day.
    limits = LiveLimits(Limits(broker_queues=1, broker_queues_per_user=1))
    queues = DeclaredQueues(Budgets(limits, clock=FakeClock().monotonic))
    for number in range(5):
        login = BrokerLogin("app", "p", vhost="/", mark=b"", payer=f"app {number}")
        app = Identity("app", frozenset(), 2e9, login=login)
        queues.count(app, Frame("SEND", (("destination", f"/queue/{number}"),)))
    robot = Identity("robot", frozenset(), 2e9)
    queues.count(robot, Frame("SEND", (("destination", "/queue/a"),)))
    with pytest.raises(TooManyQueues):
        queues.count(robot, Frame("SEND", (("destination", "/queue/b"),)))


def test_a_name_without_a_slash_is_a_queues_too() -> None:
    limits = LiveLimits(Limits(broker_queues=1, broker_queues_per_user=1))
    queues = DeclaredQueues(Budgets(limits, clock=FakeClock().monotonic))
    robot = Identity("robot", frozenset(), 2e9)
    for same in ("/queue/a", "a"):
        queues.count(robot, Frame("SEND", (("destination", same),)))
    with pytest.raises(TooManyQueues):
        queues.count(robot, Frame("SEND", (("destination", "b"),)))
