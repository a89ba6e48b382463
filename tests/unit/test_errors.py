"""The table of errors: complete, and stable for those who rely on it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from gateway import errors
from gateway.errors import ERRORS, GatewayError, outcome
from gateway.http import problem

_PROJECT: Final = Path(__file__).parents[2]


def tree(kind: type[GatewayError]) -> Iterator[type[GatewayError]]:
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from tree(child)


def test_every_error_has_a_row_of_its_own() -> None:
    assert set(tree(GatewayError)) == set(ERRORS)


def _used() -> Iterator[str]:
    """The names that the gateway's code uses: raises, returns, puts into a table of budgets. That a
    handler may raise something is only said of it."""
    for path in (_PROJECT / "gateway").rglob("*.py"):
        if path.name == "errors.py" or path.parent.name == "contract":
            continue
        only_calls = path.parent.name == "handlers"
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name(name)):
                    yield name
                case ast.Name(name, ast.Load()) if not only_calls:
                    yield name


def test_every_row_is_of_an_error_that_the_gateway_has_use_for() -> None:
    used = set(_used())
    assert {kind.__name__ for kind in ERRORS} - used == set()


def test_no_error_is_made_but_here() -> None:
    """So that each that is raised has a row, and with it a meaning."""
    names = {kind.__name__ for kind in ERRORS} | {"GatewayError"}
    for path in (_PROJECT / "gateway").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and path.name != "errors.py":
                bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
                assert not bases & names, f"{path}: {node.name}"


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


@pytest.mark.parametrize("kind", ERRORS)
def test_503_is_what_nobody_gets_now_and_429_what_somebody_has_too_much_of(
    kind: type[GatewayError],
) -> None:
    """A load balancer takes 503 as the gateway's failure. Both say when to come again."""
    status = ERRORS[kind].status
    assert (status == 503) is issubclass(kind, errors.Unavailable)
    assert (status == 429) is issubclass(kind, errors.RateLimited)
    if status in {429, 503}:
        assert "Retry-After" in problem.headers(kind("for now"))


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
