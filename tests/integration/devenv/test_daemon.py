"""Processes that are found again by their mark."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.daemon import Daemon
from devenv.session_folder import session_folder

SLEEP = ["sleep", "600"]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(str(tmp_path), tmp_path / "log")
    yield daemon
    daemon.kill()


def test_it_is_found_by_whoever_knows_the_mark(daemon: Daemon, tmp_path: Path) -> None:
    daemon.spawn(SLEEP, env=os.environ)

    assert Daemon(str(tmp_path), tmp_path / "elsewhere").alive()
    assert not Daemon(str(tmp_path) + "x", tmp_path / "log").alive()


def test_one_that_becomes_another_program_again_and_again_is_alive_all_the_time(
    daemon: Daemon,
) -> None:
    turn = 'n=$(($1 - 1)); [ $n -gt 0 ] && exec sh "$0" $n; echo done; sleep 600'
    program = daemon.log.with_name("program")
    program.write_text(turn)
    daemon.spawn(["sh", program, "150"], env=os.environ)
    while not daemon.log_tail():
        assert daemon.alive()


def test_its_children_belong_to_it_and_come_after_it(daemon: Daemon) -> None:
    daemon.spawn(["sh", "-c", "sleep 600 & echo ready; wait"], env=os.environ)
    while not daemon.log_tail():
        os.sched_yield()

    parent, child = daemon.processes()

    assert child.ppid() == parent.pid


def test_a_killed_one_is_gone_at_once_with_its_children(daemon: Daemon) -> None:
    daemon.spawn(["sh", "-c", "sleep 600 & echo ready; wait"], env=os.environ)
    while not daemon.log_tail():
        os.sched_yield()
    pids = [process.pid for process in daemon.processes()]

    daemon.kill()

    assert not daemon.alive()
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_a_paused_one_is_alive_and_can_be_resumed_or_stopped(daemon: Daemon) -> None:
    daemon.spawn(SLEEP, env=os.environ)

    daemon.pause()
    assert daemon.alive()
    assert daemon.paused()

    daemon.resume()
    assert not daemon.paused()

    daemon.pause()
    daemon.stop(timeout=10)
    assert not daemon.alive()


def test_one_that_ignores_the_request_is_killed_after_the_timeout(daemon: Daemon) -> None:
    daemon.spawn(
        ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 600; done"], env=os.environ
    )
    while not daemon.log_tail():
        os.sched_yield()

    daemon.stop(timeout=0.2)

    assert not daemon.alive()


def test_the_output_of_the_daemon_is_in_the_log(daemon: Daemon) -> None:
    daemon.spawn(["sh", "-c", "echo out; echo err >&2"], env=os.environ)
    while daemon.alive():
        os.sched_yield()

    assert daemon.log_tail() == "out\nerr"
    assert daemon.log_tail(lines=1) == "err"


def test_processes_left_by_a_dead_session_are_ended_by_the_next_one(tmp_path: Path) -> None:
    with session_folder(tmp_path) as living, session_folder(tmp_path) as dead:
        kept = Daemon(f"{living.resolve()}:kept", tmp_path / "log")
        left = Daemon(f"{dead.resolve()}:left", tmp_path / "log")
        kept.spawn(SLEEP, env=os.environ)
        left.spawn(SLEEP, env=os.environ)
        with session_folder(tmp_path):
            assert kept.alive()
            assert left.alive()

    with session_folder(tmp_path):
        deadline = time.monotonic() + 5
        while (kept.alive() or left.alive()) and time.monotonic() < deadline:
            os.sched_yield()
        running = (kept.alive(), left.alive())
    kept.kill()
    left.kill()
    assert running == (False, False)
