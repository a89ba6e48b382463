"""The table of errors: complete, and stable for those who rely on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway import errors
from gateway.errors import ERRORS, GatewayError, outcome


def tree(kind: type[GatewayError]) -> Iterator[type[GatewayError]]:
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from tree(child)


def test_every_error_has_a_row_of_its_own() -> None:
    assert set(tree(GatewayError)) == set(ERRORS)


def test_codes_are_distinct() -> None:
    codes = [row.code for row in ERRORS.values()]
    assert len(set(codes)) == len(codes)


def test_the_tree_in_the_docstring_names_every_error() -> None:
    assert errors.__doc__ is not None
    for kind in ERRORS:
        assert kind.__name__ in errors.__doc__, kind


@pytest.mark.parametrize("kind", ERRORS)
def test_statuses_are_errors_and_close_codes_may_be_sent(kind: type[GatewayError]) -> None:
    row = ERRORS[kind]
    assert 400 <= row.status < 600
    assert row.close_code not in (1005, 1006, 1015)


def test_a_kind_made_elsewhere_is_told_as_its_parent() -> None:
    class Special(errors.RoomClosed):
        """An error without a row of its own in the table."""

    assert outcome(Special("closed")) is ERRORS[errors.RoomClosed]


def test_an_error_outside_the_tree_has_no_row() -> None:
    with pytest.raises(LookupError):
        outcome(GatewayError("nothing in particular"))


def test_the_text_is_the_detail() -> None:
    error = errors.RateLimited("slow down", retry_after=1.5)
    assert (str(error), error.detail, error.retry_after) == ("slow down", "slow down", 1.5)
