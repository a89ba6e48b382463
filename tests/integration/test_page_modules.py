"""The page's modules, by Node's own test runner: tests/js."""

import subprocess
from pathlib import Path

_PROJECT = Path(__file__).parents[2]


def test_the_page_modules_pass_their_tests() -> None:
    tests = sorted(str(path) for path in (_PROJECT / "tests" / "js").rglob("*.test.js"))
    assert tests
    result = subprocess.run(  # noqa: S603 - our own files
        ["node", "--test", *tests],  # noqa: S607 - wherever the distribution puts it
        cwd=_PROJECT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
