"""The allow-list of web origins."""

from __future__ import annotations

import pytest

from gateway.auth.origins import Origins
from gateway.errors import OriginRefused

ORIGINS = Origins(["https://school.example", "http://localhost:8080", "https://other.example:443"])


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "https://school.example",
        "HTTPS://School.Example",
        "http://localhost:8080",
        "https://other.example",
    ],
)
def test_an_origin_on_the_list_and_what_is_no_browser_pass(origin: str | None) -> None:
    ORIGINS.check(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "http://school.example",
        "https://school.example:8443",
        "https://school.example.evil.example",
        "https://evil-school.example",
        "https://school.example/",
        "https://school.example, https://school.example",
        "https://localhost:8080",
        "http://localhost",
        "school.example",
        "x" * 100_000,
    ],
)
def test_every_other_origin_is_refused_and_named(origin: str) -> None:
    with pytest.raises(OriginRefused, match=r"server\.origins") as caught:
        ORIGINS.check(origin)
    assert repr(origin[:200]) in caught.value.detail
    assert len(caught.value.detail) < 400


def test_an_empty_list_allows_no_page() -> None:
    with pytest.raises(OriginRefused):
        Origins([]).check("https://school.example")
