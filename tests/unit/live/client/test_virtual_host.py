"""Which virtual host CONNECT may ask for."""

import pytest

from gateway.auth.origins import Origins
from gateway.errors import Refused
from gateway.live.client.virtual_host import VirtualHost

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
    VirtualHost("lessons", _PAGES).check(host, dialled="10.0.0.5:8080")


@pytest.mark.parametrize("host", ["::1", "[::1]", "[::1]:8080"])
def test_an_ipv6_address_is_written_with_brackets_or_without(host: str) -> None:
    VirtualHost("/", _PAGES).check(host, dialled="[::1]:8080")


@pytest.mark.parametrize(
    "host", ["other", "LESSONS", "/lessons", "school.example.net", "10.0.0.5:80", "any"]
)
def test_another_one_is_refused_with_what_would_be_right(host: str) -> None:
    with pytest.raises(Refused, match="'lessons'") as refused:
        VirtualHost("lessons", _PAGES).check(host, dialled="10.0.0.5:8080")
    assert repr(host) in refused.value.detail


def test_the_names_follow_the_origins() -> None:
    pages = Origins([])
    virtual_host = VirtualHost("/", pages)
    with pytest.raises(Refused):
        virtual_host.check("new.example", dialled="x")
    pages.replace(["https://new.example"])
    virtual_host.check("new.example", dialled="x")
