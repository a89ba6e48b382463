"""Jobs side by side: what each printed is shown as a whole, and all of them end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from devenv.daemon import Daemon
from devenv.side_by_side import Job, Outcome, run

_PROJECT = Path(__file__).parents[3]


def _shell(name: str, script: str) -> Job:
    return Job(name, ["sh", "-ec", script])


def _run(folder: Path, *jobs: Job, at_once: int = 2) -> tuple[list[Outcome], list[str]]:
    said: list[str] = []
    outcomes = run(jobs, at_once=at_once, folder=folder, say=said.append, show=said.append)
    return outcomes, said


#: Two of these end only if they run at the same time: each waits for the other's file.
_MEET = (
    "touch {mine}; for turn in $(seq 200); do [ -e {other} ] && exit 0; sleep 0.05; done; exit 1"
)


def test_so_many_run_at_once(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"

    outcomes, _ = _run(
        tmp_path / "work",
        _shell("one", _MEET.format(mine=one, other=other)),
        _shell("other", _MEET.format(mine=other, other=one)),
    )

    assert [outcome.code for outcome in outcomes] == [0, 0]


def test_no_more_run_at_once(tmp_path: Path) -> None:
    busy = tmp_path / "busy"
    alone = _shell("alone", f"mkdir {busy}; sleep 0.3; rmdir {busy}")

    outcomes, _ = _run(tmp_path / "work", alone, alone, alone, at_once=1)

    assert [outcome.code for outcome in outcomes] == [0, 0, 0]


def test_the_output_of_a_job_is_shown_in_one_piece_under_its_name(tmp_path: Path) -> None:
    turns = "for turn in 1 2 3; do echo {0} $turn; sleep 0.1; done; exit {1}"

    outcomes, said = _run(
        tmp_path, _shell("a", turns.format("a", 0)), _shell("b", turns.format("b", 3))
    )

    assert {outcome.job.name: outcome.code for outcome in outcomes} == {"a": 0, "b": 3}
    # A heading, and what it is over.
    for name in ("a", "b"):
        assert said[said.index(f"{name} 1\n{name} 2\n{name} 3") - 1].startswith(f"{name}: ")


def test_a_job_that_falls_silent_is_ended_and_the_next_one_runs(tmp_path: Path) -> None:
    hangs = "trap 'echo waits for ever' USR1; echo began; while :; do sleep 0.1; done"

    said: list[str] = []
    outcomes = run(
        [
            _shell("hangs", hangs),
            _shell("talks", "for turn in 1 2 3 4 5 6; do echo; sleep 0.5; done"),
        ],
        at_once=1,
        folder=tmp_path,
        say=said.append,
        show=said.append,
        silence=2.0,
    )

    assert [outcome.code for outcome in outcomes] == [-signal.SIGTERM, 0]
    assert outcomes[0].printed == "began\nwaits for ever\n", "it was asked what it does"
    assert said[0] == "hangs: HUNG, it has printed nothing for 2 s; ended"


_INTERRUPTED = """
import signal
from pathlib import Path
from devenv.side_by_side import Job, run

def interrupt(number, frame):
    raise KeyboardInterrupt

signal.signal(signal.SIGTERM, interrupt)
slow = "trap 'echo cleared away; exit 1' TERM; echo ready; while :; do sleep 0.1; done"
jobs = [Job(name, ["sh", "-c", slow]) for name in ("a", "b")]
run(jobs, at_once=2, folder=Path("work"), say=print)
"""


@pytest.fixture
def interrupted(tmp_path: Path) -> "subprocess.CompletedProcess[str]":
    """A run that is told to end when both its jobs are at work."""
    daemon = Daemon(str(tmp_path), tmp_path / "unused")
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", _INTERRUPTED],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(_PROJECT / "scripts"), "INTERACT_DAEMON": daemon.mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        logs = [tmp_path / "work" / name for name in ("a.log", "b.log")]
        while not all(log.exists() and "ready" in log.read_text() for log in logs):
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert not daemon.alive(), "nothing is left"
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def test_stopping_it_stops_all_jobs_and_shows_how_far_they_came(
    interrupted: "subprocess.CompletedProcess[str]",
) -> None:
    assert "KeyboardInterrupt" in interrupted.stderr
    assert interrupted.stdout.count("ready\ncleared away\n") == 2
