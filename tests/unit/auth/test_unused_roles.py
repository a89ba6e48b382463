"""The log's word about roles that mean nothing here."""

from __future__ import annotations

import pytest

from gateway.auth.unused_roles import MOST, UnusedRoles


@pytest.fixture
def unused() -> UnusedRoles:
    return UnusedRoles("https://issuer", table="auth.issuers.1", claims="'roles'")


def test_each_set_of_roles_is_told_once(
    unused: UnusedRoles, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        unused.note(["pupil", "member"])
        unused.note({"member", "pupil"})
        unused.note(["teacher"])
        unused.note([])
    pupil, teacher, without = caplog.messages
    assert 'auth.issuers.1: a token of https://issuer has the roles "member", "pupil"' in pupil
    assert "auth.issuers.1.roles" in teacher
    assert "has no roles in the claim 'roles'" in without
    assert "auth.issuers.1.roles_claim" in without


def test_an_issuer_of_endless_roles_is_told_of_so_often_and_no_more(
    unused: UnusedRoles, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(10 * MOST):
        unused.note([f"group-{number}"])
    assert len(caplog.messages) == MOST + 1
    assert "no further one is told" in caplog.messages[-1]


def test_a_line_is_short_and_is_one_line(
    unused: UnusedRoles, caplog: pytest.LogCaptureFixture
) -> None:
    unused.note([f"{n:03}\nERROR forged\x1b[31m" + "x" * 10_000 for n in range(500)])
    (line,) = caplog.messages
    assert len(line) < 2000
    assert line.isprintable()
    assert "and 490 more" in line
