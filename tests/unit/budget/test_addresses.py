"""The keys by which addresses are counted."""

from __future__ import annotations

import pytest

from gateway.budget.addresses import network_of
from gateway.budget.table import UNKNOWN_CONNECTIONS, UPGRADES, Scope
from gateway.errors import TooManyUnknown, TooManyUpgrades
from tests.budgets import budgets_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("", ""),
        ("no address", "no address"),
    ],
)
def test_an_ipv6_address_counts_as_its_network(address: str, network: str) -> None:
    assert network_of(address) == network


def test_a_client_with_a_network_of_addresses_has_one_budget() -> None:
    budgets = budgets_of(
        upgrades_burst=1, upgrades_per_second=1.0, unknown_connections_per_address=1
    )
    upgrades = budgets.rate(UPGRADES)
    upgrades.take("2001:db8::1", None)
    for refused in (upgrades.take, upgrades.check):
        with pytest.raises(TooManyUpgrades):
            refused("2001:db8::2", None)
    assert upgrades.reserve("2001:db8::3", None, within=10) > 0
    upgrades.take("2001:db8:0:1::1", None)
    places = budgets.cap(UNKNOWN_CONNECTIONS)
    lease = places.hold("2001:db8::1")
    with pytest.raises(TooManyUnknown):
        places.take("2001:db8::2")
    assert places.taken(Scope.ADDRESS, "2001:db8::/64") == 1
    assert places.taken(Scope.ADDRESS, "2001:db8::3") == 1
    lease.give_back()
    places.take("2001:db8::2")
