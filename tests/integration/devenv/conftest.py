"""A session of pytest inside a test, with this project's settings."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

_PROJECT = Path(__file__).parents[3]

InnerPytest = Callable[..., str]


@pytest.fixture
def inner_pytest(tmp_path: Path) -> InnerPytest:
    """Runs `tests` beside a `conftest`, both source text; returns what pytest prints."""

    def run(conftest: str, tests: str, *options: str) -> str:
        (tmp_path / "conftest.py").write_text(conftest)
        (tmp_path / "test_inner.py").write_text(tests)
        result = subprocess.run(  # noqa: S603 - our own program
            [
                *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options),
                *("-c", str(_PROJECT / "setup.cfg"), "--rootdir", str(tmp_path)),
                *("-o", f"pythonpath={_PROJECT} {_PROJECT / 'scripts'}"),
                str(tmp_path / "test_inner.py"),
            ],
            cwd=_PROJECT,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return result.stdout

    return run
