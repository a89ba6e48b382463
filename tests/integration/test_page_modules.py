"""The browser's modules: by Node's own test runner (tests/js), and their JSDoc types."""

import subprocess
from pathlib import Path

_PROJECT = Path(__file__).parents[2]


def test_the_page_modules_pass_their_tests() -> None:
    tests = sorted(str(path) for path in (_PROJECT / "tests" / "js").rglob("*.test.js"))
    assert tests
    _passes("node", "--test", *tests)


def test_the_types_of_the_library_are_right() -> None:
    _passes("node_modules/.bin/tsc", "--project", "tsconfig.json")


def _passes(*command: str) -> None:
    result = subprocess.run(  # noqa: S603 - our own files
        command,
        cwd=_PROJECT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
