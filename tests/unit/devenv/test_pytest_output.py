"""The facts that are read from pytest's output."""

from collections import Counter

import pytest

from devenv import pytest_output

_RUNNING = """\
============================= test session starts ==============================
collected 250 items

tests/unit/test_config.py ............F..........s.                      [  9%]
[set-up] FEEDS ARE READY
tests/unit/test_drain.py ......E.................................................
........                                                                 [ 36%]
tests/unit/test_errors.py ..."""


@pytest.mark.parametrize(
    ("printed", "words"),
    [
        ("", "0 %"),
        (_RUNNING, "36 %, 2 failed"),
        (_RUNNING.replace("F", ".", 1).replace("..E.", "...."), "36 %"),
        (
            "tests/unit/test_x.py \x1b[32m.\x1b[0m\x1b[31mF\x1b[0m\x1b[32m  [ 50%]\x1b[0m",
            "50 %, 1 failed",
        ),
    ],
)
def test_how_far_a_session_is(printed: str, words: str) -> None:
    assert pytest_output.progress(printed) == words


@pytest.mark.parametrize(
    ("closing", "counts"),
    [
        ("===== 2498 passed in 145.75s (0:02:25) =====", {"passed": 2498}),
        (
            "= 1 failed, 2 passed, 1 skipped, 3 warnings, 2 errors in 3.21s =",
            {"failed": 1, "passed": 2, "skipped": 1, "warning": 3, "error": 2},
        ),
        ("\x1b[32m=== \x1b[1m7 passed\x1b[0m\x1b[32m in 1.00s ===\x1b[0m", {"passed": 7}),
        ("Segmentation fault", {}),
    ],
)
def test_the_counts_of_its_closing_line(closing: str, counts: dict[str, int]) -> None:
    assert pytest_output.counts(f"3 passed before\n{closing}\n") == counts


def test_one_line_closes_several_sessions() -> None:
    counts = Counter(passed=3) + Counter(passed=4, failed=1, error=2)

    line = pytest_output.closing_line(counts, 754.3)

    assert line.strip("= ") == "1 failed, 7 passed, 2 errors in 754.30s (0:12:34)"
    assert pytest_output.counts(line) == counts


def test_without_a_test_it_says_so() -> None:
    assert "no tests ran in 0.00s" in pytest_output.closing_line(Counter(), 0)
