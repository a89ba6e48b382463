"""The cost of reading a request's body before it is known to be valid."""

from __future__ import annotations

import time
from typing import Any

import pytest

from gateway.errors import Invalid
from gateway.http import body


def test_a_name_that_stands_twice_among_thousands_is_found_at_once() -> None:
    """The event loop, and with it everybody, waits for this; a body needs no login."""
    names = [f"{number:05d}" for number in range(50_000)]
    raw = ("{" + ",".join(f'"{name}":1' for name in [*names, names[-1]]) + "}").encode()
    begun = time.process_time()
    with pytest.raises(Invalid, match="'49999' is given twice"):
        body.parse(raw)
    # Per name less than a 7,000th of 0.1 s; comparing each with each would take over ten seconds.
    assert time.process_time() - begun < 0.5


class Short(body.Body):
    """A body with one field."""

    body: Any


def test_thousands_of_unknown_fields_are_not_described_one_by_one() -> None:
    many = {f"field{n}": n for n in range(5000)} | {"body": 1}
    with pytest.raises(Invalid, match="there are 5001 fields, of which most are unknown"):
        body.validate(Short, many)
    few = {f"field{n}": n for n in range(10)} | {"body": 1}
    with pytest.raises(Invalid, match="field9: this field is unknown"):
        body.validate(Short, few)
