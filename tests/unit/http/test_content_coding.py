"""The content coding that a client likes most (RFC 9110, section 12.5.3)."""

import pytest

from gateway.http.content_coding import choose

BOTH = ("br", "gzip")


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        (None, None),
        ("", None),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate", "gzip"),
        ("gzip;q=1.0, br;q=0.5", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("BR ; Q=0.8", "br"),
        ("identity", None),
        ("identity, br;q=0.5", None),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("*", "br"),
        ("*;q=0", None),
        ("*;q=0.5, br;q=0", "gzip"),
        ("gzip;q=0", None),
        ("deflate", None),
        ("gzip;q=2", None),
        ("gzip;q=0.0001", None),
        ("gzip;level=9, br;q=x", None),
        (",,gzip", "gzip"),
        ("x-" + "a" * 10_000 + ", gzip", "gzip"),
        ("deflate," * 50 + "gzip", None),
    ],
)
def test_the_best_that_the_client_takes(accepted: str | None, expected: str | None) -> None:
    assert choose(accepted, BOTH) == expected


def test_what_was_not_compressed_is_sent_as_it_is() -> None:
    assert choose("br, gzip", ()) is None
