"""Which virtual host CONNECT may ask for."""

import pytest

from gateway.auth.origins import Origins
from gateway.errors import UnknownVirtualHost, outcome
from gateway.live.client.virtual_host import VirtualHosts

_PAGES = Origins(["https://School.example", "http://127.0.0.1:8080"])


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "/",
        "lessons",
        "10.0.0.5",
        "10.0.0.5:8080",
        "school.example",
        "SCHOOL.example",
        "127.0.0.1",
        "127.0.0.1:8080",
    ],
)
def test_its_own_name_and_the_servers_mean_the_one_that_is_configured(host: str | None) -> None:
    hosts = VirtualHosts("lessons", _PAGES, others=["billing"])
    assert hosts.choose(host, dialled="10.0.0.5:8080") is None


@pytest.mark.parametrize("host", ["::1", "[::1]", "[::1]:8080"])
def test_an_ipv6_address_is_written_with_brackets_or_without(host: str) -> None:
    assert VirtualHosts("/", _PAGES).choose(host, dialled="[::1]:8080") is None


@pytest.mark.parametrize("host", ["billing", "/", "school.example"])
def test_another_one_that_is_configured_is_chosen_by_its_exact_name(host: str) -> None:
    hosts = VirtualHosts("lessons", _PAGES, others=["billing", "/", "school.example"])
    assert hosts.choose(host, dialled="10.0.0.5:8080") == host


def test_the_configured_one_may_be_listed_among_the_others() -> None:
    hosts = VirtualHosts("lessons", _PAGES, others=["lessons"])
    assert hosts.choose("lessons", dialled="10.0.0.5:8080") is None


@pytest.mark.parametrize(
    "host", ["other", "LESSONS", "Billing", "/lessons", "school.example.net", "10.0.0.5:80", "any"]
)
def test_an_unknown_one_is_refused_as_rabbitmq_does(host: str) -> None:
    hosts = VirtualHosts("lessons", _PAGES, others=["billing"])
    with pytest.raises(UnknownVirtualHost) as refused:
        hosts.choose(host, dialled="10.0.0.5:8080")
    assert refused.value.detail == f"Virtual host '{host}' access denied"
    assert refused.value.stomp_message == "Bad CONNECT"
    assert outcome(refused.value).close_code == 4003


def test_the_names_follow_the_origins() -> None:
    pages = Origins([])
    hosts = VirtualHosts("/", pages)
    with pytest.raises(UnknownVirtualHost):
        hosts.choose("new.example", dialled="x")
    pages.replace(["https://new.example"])
    assert hosts.choose("new.example", dialled="x") is None
