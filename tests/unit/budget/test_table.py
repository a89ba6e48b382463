"""The table of budgets agrees with the configuration, the errors and the words for operators."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from gateway.budget import table
from gateway.budget.budgets import Budgets
from gateway.budget.table import TABLE, Budget, Form, Limit, Scope
from gateway.config import Limits
from gateway.errors import ERRORS
from gateway.limits import LiveLimits
from tests.fake_clock import FakeClock

#: Limits of one thing at a time: nothing is added up.
SIZES: Final = {
    "body_bytes",
    "frame_bytes",
    "kept_bytes",
    "page_size",
    "stall_timeout",
    "upstream_frame_bytes",
}
#: A limit of each connection, which the hub enforces.
OF_EACH: Final = {"backlog_bytes"}
_CONFIGURATION: Final = Path(__file__).parents[3] / "conf/gateway.toml"

LIMITS: Final = [(budget, limit) for budget in TABLE for limit in budget.limits]
each_budget = pytest.mark.parametrize("budget", TABLE, ids=lambda budget: budget.name)
each_limit = pytest.mark.parametrize(
    ("budget", "limit"), LIMITS, ids=[budget.met(limit) for budget, limit in LIMITS]
)


def comments() -> dict[str, str]:
    """The words above each key of the configuration's limits, in one line."""
    found: dict[str, str] = {}
    words: list[str] = []
    is_comment = False
    for line in _CONFIGURATION.read_text().partition("[limits]")[2].splitlines():
        if line.startswith("#"):
            if not is_comment:
                words = []
            words.append(line.removeprefix("#").strip())
        elif key := re.match(r"(\w+) = ", line):
            found[key[1]] = " ".join(words)
        is_comment = line.startswith("#")
    return found


def test_every_budget_stands_in_the_table_once() -> None:
    rows = [value for value in vars(table).values() if isinstance(value, Budget)]
    assert sorted(rows, key=id) == sorted(TABLE, key=id)
    assert len({budget.name for budget in TABLE}) == len(TABLE)


def test_every_limit_of_the_configuration_is_a_budget_or_a_size() -> None:
    keys = [key for _, limit in LIMITS for key in limit.keys]
    assert len(set(keys)) == len(keys)
    assert not SIZES & set(keys)
    assert not OF_EACH & set(keys)
    assert SIZES | OF_EACH | set(keys) == set(Limits.model_fields)


@each_budget
def test_the_configuration_has_the_reason_beside_the_keys(budget: Budget) -> None:
    for limit in budget.limits:
        for key in limit.keys:
            assert budget.reason in comments()[key], key


@each_limit
def test_a_limit_is_refused_by_an_error_with_a_row_of_its_own(budget: Budget, limit: Limit) -> None:
    if limit.error is not None:
        assert limit.error in ERRORS
        assert limit.says


@each_limit
def test_what_one_has_too_much_of_is_never_told_as_the_gateway_s_failure(
    budget: Budget, limit: Limit
) -> None:
    if limit.scope is not Scope.ALL and limit.error is not None:
        assert ERRORS[limit.error].status != 503, budget.met(limit)


@each_limit
def test_the_keys_name_their_unit_as_the_form_wants_it(budget: Budget, limit: Limit) -> None:
    pattern = {
        Form.RATE: r"\w+_per_(second|minute)( \w+_burst)?",
        Form.CAP: r"\w+(?<!_burst)(?<!_per_second)(?<!_per_minute)",
    }
    assert re.fullmatch(pattern[budget.form], " ".join(limit.keys))


@each_budget
def test_the_scopes_differ_and_all_comes_last(budget: Budget) -> None:
    scopes = [limit.scope for limit in budget.limits]
    assert len(set(scopes)) == len(scopes)
    assert Scope.ALL not in scopes[:-1]


@each_budget
def test_every_budget_can_be_enforced(budget: Budget) -> None:
    budgets = Budgets(LiveLimits(Limits()), clock=FakeClock())
    keys = ["key"] * sum(limit.scope is not Scope.ALL for limit in budget.limits)
    if budget.form is Form.RATE:
        budgets.rate(budget).take(*keys)
    else:
        budgets.cap(budget).take(*keys).give_back()
    assert not +budgets.met
