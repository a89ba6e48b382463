"""What the internal listener checks, although it can be reached from inside only."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from gateway.config import Server
from gateway.http.internal_access import InternalAccess, networks_shortage
from tests.fake_clock import FakeClock
from tests.integration.http.conftest import Call

PATHS = ["/healthz", "/readyz", "/metrics", "/drain", "/nothing"]


@pytest.fixture
def named(tables: dict[str, Any]) -> None:
    tables["server"]["internal_hosts"] = ["Gateway-1.internal"]


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8081",
        "10.0.0.7:8081",
        "[::1]:8081",
        "localhost:1",
        "LOCALHOST",
        "gateway-1.internal:8081",
        "gateway-1.internal.",
    ],
)
@pytest.mark.gen_test
async def test_it_has_its_addresses_and_the_names_that_are_configured(
    call_internal: Call, host: str
) -> None:
    assert (await call_internal("GET", "/healthz", headers={"Host": host})).status == 200


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8081", "gateway-1", "["])
@pytest.mark.gen_test
async def test_a_page_whose_name_was_made_to_mean_this_machine_learns_nothing(
    call_internal: Call, path: str, host: str
) -> None:
    answer = await call_internal("GET", path, headers={"Host": host})
    assert answer.problem == (403, "host_refused")
    assert "server.internal_hosts" in answer.json["detail"]


@pytest.mark.gen_test
async def test_by_a_foreign_name_rabbitmq_gets_no_answer_but_deny(
    call_internal: Call, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        answer = await call_internal(
            "GET", "/broker/auth/user?username=a&password=b", headers={"Host": "evil.example"}
        )
        assert (answer.status, answer.body) == (200, b"deny")
    told = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(told) == 1
    assert "server.internal_hosts" in told[0]


class Asking:
    """A request, as far as it tells where it is from."""

    headers: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, address: str) -> None:
        self.remote_ip = address


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        (None, "127.0.0.1", True),
        (None, "127.8.8.8", True),
        (None, "::1", True),
        (None, "::ffff:127.0.0.1", True),
        (None, "10.1.0.1", False),
        (None, "::2", False),
        (None, "", False),
        (("10.1.0.0/16",), "10.1.200.3", True),
        (("10.1.0.0/16",), "::ffff:10.1.200.3", True),
        (("10.1.0.0/16",), "10.2.0.1", False),
        (("10.1.0.0/16",), "127.0.0.1", False),
        (("10.1.0.5",), "10.1.0.5", True),
    ],
)
def test_rabbitmqs_questions_are_answered_to_the_configured_networks_only(
    networks: tuple[str, ...] | None, address: str, *, allowed: bool
) -> None:
    given: dict[str, Any] = {} if networks is None else {"internal_networks": networks}
    access = InternalAccess(Server(**given), clock=FakeClock())
    request: Any = Asking(address)
    if allowed:
        access.check_network(request)
    else:
        with pytest.raises(Exception, match=r"server\.internal_networks"):
            access.check_network(request)


@pytest.fixture
def elsewhere(tables: dict[str, Any]) -> None:
    tables["server"]["internal_networks"] = ["192.0.2.0/24"]


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.gen_test
async def test_a_question_from_another_network_is_denied_and_the_log_says_what_to_do(
    call_internal: Call, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await call_internal("GET", "/broker/auth/user?username=a&password=b")
    assert (answer.status, answer.body) == (200, b"deny")
    (told,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert "from 127.0.0.1" in told
    assert "192.0.2.0/24" in told
    # Everything else depends on reaching the listener, as before.
    assert (await call_internal("GET", "/healthz")).status == 200


@pytest.mark.parametrize(
    ("server", "short"),
    [
        ({}, False),
        ({"internal_address": "localhost"}, False),
        ({"internal_address": "10.1.0.2"}, True),
        ({"internal_address": ""}, True),
        ({"internal_address": "10.1.0.2", "internal_networks": ("10.1.0.0/16",)}, False),
    ],
)
def test_a_listener_for_other_machines_that_answers_none_of_them_is_noticed(
    server: dict[str, Any], *, short: bool
) -> None:
    assert (networks_shortage(Server(**server)) is not None) is short
