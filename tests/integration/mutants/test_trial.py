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
for sources, tests, cpu_seconds in json.loads(sys.argv[2]):
    limits = trial.Limits(seconds=60, cpu_seconds=cpu_seconds)
    changes = [trial.Change(root / "sums.py", "sums", source) for source in sources]
    found = trial.outcomes(changes, [tests], limits=limits, root=root)
    outcomes.append([outcome.name for outcome in found])
print(json.dumps(outcomes))
"""


def test_the_outcome_is_that_of_the_tests_and_no_file_changes(tmp_path: Path) -> None:
    (tmp_path / "sums.py").write_text(_MODULE)
    (tmp_path / "test_sums.py").write_text(_TEST)
    changed = [
        ("+", "+", "SURVIVED"),
        ("+", "-", "KILLED"),
        ("return", "import nothing; return", "KILLED"),
        ("def", "import nothing\ndef", "KILLED"),
        ("one + other", "other + one", "SURVIVED"),
    ]
    endless = _MODULE.replace("return", "while one: pass\n    return")
    assert _outcomes(
        tmp_path,
        ([_MODULE.replace(of, to, 1) for of, to, _ in changed], "test_sums.py", 60),
        ([endless], "test_sums.py", 2),
        ([_MODULE], "test_products.py", 60),
    ) == [[outcome for *_, outcome in changed], ["TIMEOUT"], ["UNTESTED"]]
    assert (tmp_path / "sums.py").read_text() == _MODULE
    assert {path.name for path in tmp_path.glob("*.*")} == {"sums.py", "test_sums.py"}


def _outcomes(folder: Path, *trials: tuple[list[str], str, int]) -> object:
    ended = subprocess.run(  # noqa: S603 - our own files
        [sys.executable, "-c", _TRIALS, folder, json.dumps(trials)],
        env={**os.environ, "PYTHONPATH": f"{_PROJECT / 'scripts'}{os.pathsep}{folder}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return json.loads(ended.stdout)
