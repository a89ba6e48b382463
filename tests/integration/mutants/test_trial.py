"""A trial runs tests against a changed module, and the files stay as they are."""

import json
import os
import subprocess
import sys
from pathlib import Path

_PROJECT = Path(__file__).parents[3]
_MODULE = "def add(one: int, other: int) -> int:\n    return one + other\n"
_TEST = "from sums import add\n\n\ndef test_sum() -> None:\n    assert add(1, 2) == 3\n"
_TRIALS = """
import json, sys
from pathlib import Path
from mutant_suite import trial

root = Path(sys.argv[1])
trial.import_libraries()
outcomes = []
for source, tests, within in json.loads(sys.argv[2]):
    change = trial.Change(root / "sums.py", "sums", source)
    outcomes.append(trial.run([tests], within=within, root=root, change=change).name)
print(json.dumps(outcomes))
"""


def test_the_outcome_is_that_of_the_tests_and_no_file_changes(tmp_path: Path) -> None:
    (tmp_path / "sums.py").write_text(_MODULE)
    (tmp_path / "test_sums.py").write_text(_TEST)
    courses = [
        ("+", "+", "test_sums.py", "SURVIVED"),
        ("one + other", "other + one", "test_sums.py", "SURVIVED"),
        ("+", "-", "test_sums.py", "KILLED"),
        ("return", "import nothing; return", "test_sums.py", "KILLED"),
        ("def", "import nothing\ndef", "test_sums.py", "KILLED"),
        ("return", "while one: pass\n    return", "test_sums.py", "TIMEOUT"),
        ("+", "-", "test_products.py", "UNTESTED"),
    ]
    assert _outcomes(tmp_path, courses) == [outcome for *_, outcome in courses]
    assert (tmp_path / "sums.py").read_text() == _MODULE
    assert {path.name for path in tmp_path.glob("*.*")} == {"sums.py", "test_sums.py"}


def _outcomes(folder: Path, courses: list[tuple[str, str, str, str]]) -> object:
    trials = [
        (_MODULE.replace(of, to, 1), tests, 5 if outcome == "TIMEOUT" else 60)
        for of, to, tests, outcome in courses
    ]
    ended = subprocess.run(  # noqa: S603 - our own files
        [sys.executable, "-c", _TRIALS, folder, json.dumps(trials)],
        env={**os.environ, "PYTHONPATH": f"{_PROJECT / 'scripts'}{os.pathsep}{folder}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return json.loads(ended.stdout)
