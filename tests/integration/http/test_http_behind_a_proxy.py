"""Budgets behind a trusted proxy: the address that it names is what counts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.http.conftest import Call

_UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Version": "13",
    # Refused behind the budget, so that no client is left.
    "Authorization": "Bearer none",
}


@pytest.fixture
def tables(tables: dict[str, Any]) -> dict[str, Any]:
    tables["server"]["trusted_proxies"] = ["127.0.0.1", "192.0.2.1"]
    tables["limits"] |= {"upgrades_burst": 1, "upgrades_per_second": 0.01}
    return tables


@pytest.mark.gen_test
async def test_the_nearest_address_that_no_proxy_has_pays_whatever_the_client_claims(
    call: Call,
) -> None:
    async def shake_hands(forwarded: str) -> tuple[int, str]:
        headers = _UPGRADE | {"X-Forwarded-For": forwarded}
        return (await call("GET", "/ws", headers=headers)).problem

    assert (await shake_hands("203.0.113.7"))[0] == 401
    # Not by another address in front, nor by another way through the proxies.
    for same in ("198.51.100.1, 203.0.113.7", "203.0.113.7, 192.0.2.1"):
        assert await shake_hands(same) == (429, "too_many_upgrades")
    assert (await shake_hands("203.0.113.8"))[0] == 401
