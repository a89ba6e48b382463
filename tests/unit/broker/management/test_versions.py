"""Versions are compared as numbers."""

import pytest

from broker.management.versions import NEWEST, OLDEST, Version, read_version, series


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("3.10.8", (3, 10, 8)),
        ("4.3.6", (4, 3, 6)),
        ("4.4.0-rc.1", (4, 4, 0)),
        ("4.0.5+dfsg", (4, 0, 5)),
        ("unknown", ()),
    ],
)
def test_a_version_is_read(text: str, version: Version) -> None:
    assert read_version(text) == version


def test_versions_are_compared_as_numbers() -> None:
    assert read_version("3.9.29") < OLDEST <= read_version("3.10.8")
    assert read_version("4.3.6")[:2] == NEWEST
    assert read_version("4.10.0")[:2] > NEWEST
    assert series(read_version("4.3.6")) == "4.3"
