"""The whole run: which session has which tests, and what all of them together come to."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from devenv import checks, second_try
from devenv.errors import SetupError
from devenv.side_by_side import Job, Outcome

_PROJECT = Path(__file__).parents[3]
_HUB = "tests/acceptance/live/test_hub.py::a"
_BUS = "tests/acceptance/cluster/test_bus.py::b"
_UNIT = "tests/unit/test_x.py::c"


def test_every_test_belongs_to_one_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(_PROJECT)
    taken = Counter(
        file
        for session in checks._sessions()
        for path in session.command
        if path.startswith("tests/")
        for file in Path(path).rglob("test_*.py")
    )

    tiers = [_PROJECT / "tests" / tier for tier in ("unit", "integration", "acceptance")]
    files = {file.relative_to(_PROJECT) for tier in tiers for file in tier.rglob("test_*.py")}
    assert taken == Counter(files)


def _session(name: str, code: int, closing: str, *failed: str) -> Outcome:
    second_try.remember(checks._cache(name), failed)
    return Outcome(Job(name, ["pytest"]), code, f"...\n=== {closing} in 1.00s ===\n")


#: What is told when a second try is asked for: the tests that pass then.
Heal = Callable[..., list[str]]


@pytest.fixture
def heal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Heal:
    """Lets a second try heal these tests and no other; the list is of those that were tried."""
    monkeypatch.chdir(tmp_path)
    tried: list[str] = []

    def prepare(*healed: str) -> list[str]:
        def run(command: list[str]) -> int:
            names = [argument for argument in command if "::" in argument]
            tried.extend(names)
            left = [name for name in second_try.failed(checks._CACHE) if name not in healed]
            second_try.remember(checks._CACHE, left)
            return int(any(name in left for name in names))

        monkeypatch.setattr(checks, "_run", run)
        return tried

    return prepare


def test_green_sessions_are_green_together(heal: Heal) -> None:
    tried = heal()

    code, counts = checks._verdict(
        [_session("unit", 0, "7 passed"), _session("live", 0, "3 passed, 1 skipped")]
    )

    assert (code, counts) == (0, Counter(passed=10, skipped=1))
    assert tried == []


def test_tests_that_pass_at_the_second_try_are_green_and_named(
    heal: Heal, capsys: pytest.CaptureFixture[str]
) -> None:
    tried = heal(_HUB, _BUS)

    code, counts = checks._verdict(
        [
            _session("live", 1, "1 failed, 3 passed", _HUB),
            _session("cluster", 1, "1 failed, 1 passed", _BUS),
        ]
    )

    assert (code, counts) == (0, Counter(passed=6))
    assert tried == [_HUB, _BUS]
    assert f"PASSED ONLY AT THE SECOND TRY: {_HUB}, {_BUS}" in capsys.readouterr().out


def test_tests_that_fail_again_are_red_and_named(
    heal: Heal, capsys: pytest.CaptureFixture[str]
) -> None:
    heal(_HUB)

    code, counts = checks._verdict([_session("live", 1, "2 failed, 3 passed", _HUB, _BUS)])

    assert (code, counts) == (1, Counter(failed=1, passed=4))
    assert f"FAILED: {_BUS}\n" in capsys.readouterr().out
    assert second_try.failed(checks._CACHE) == [_BUS], "for pytest --last-failed"


def test_a_unit_test_that_fails_stays_red_and_keeps_none_from_its_second_try(heal: Heal) -> None:
    tried = heal(_HUB)

    code, counts = checks._verdict(
        [_session("unit", 1, "1 failed", _UNIT), _session("live", 1, "1 failed", _HUB)]
    )

    assert (code, counts) == (1, Counter(failed=1, passed=1))
    assert tried == [_HUB]


def test_a_session_that_broke_off_is_red_whatever_the_others_say(heal: Heal) -> None:
    tried = heal(_HUB)

    for code in (2, 3, -9):
        broken = Outcome(Job("unit", ["pytest"]), code, "Killed")
        sessions = [broken, _session("live", 1, "1 failed, 3 passed", _HUB)]
        assert checks._verdict(sessions)[0] == abs(code)
    assert tried == []


def test_no_test_at_all_is_no_success(heal: Heal) -> None:
    heal()

    assert checks._verdict([_session("unit", 5, "no tests ran")])[0] == 5
    assert checks._verdict(
        [_session("unit", 5, "no tests ran"), _session("live", 0, "1 passed")]
    ) == (0, Counter(passed=1))


def test_of_two_runs_in_one_checkout_the_second_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    checks._WORK.parent.mkdir()

    with checks._only_one(), pytest.raises(SetupError, match="already"), checks._only_one():
        pass

    with checks._only_one():
        pass
