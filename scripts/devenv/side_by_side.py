"""Commands that run side by side; the output of each is shown as a whole when it ends."""

import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from devenv.moving_line import TICK, MovingLine, Progress

#: Seconds between two lines where there is no terminal.
_QUIET = 30.0
#: Seconds that an interrupted command has to end what it started.
_STOP_TIMEOUT = 60.0
#: Seconds without a byte of output after which a command hangs. A test has 600 (setup.cfg).
_SILENCE = 900.0
#: Has a session of pytest print what its threads do (tests/conftest.py).
_TELL = signal.SIGUSR1
#: Seconds for that.
_TELL_TIME = 1.0


@dataclass(frozen=True)
class Job:
    """A command with a name; `progress` makes a few words of its output so far.

    `environment` is added to this process's own.
    """

    name: str
    command: Sequence[str]
    progress: Callable[[str], str] = lambda printed: ""
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """The end of a job: its exit code and all its output."""

    job: Job
    code: int
    printed: str


def run(
    jobs: Iterable[Job],
    *,
    at_once: int,
    folder: Path,
    say: Progress,
    show: Progress = print,
    silence: float = _SILENCE,
) -> list[Outcome]:
    """Run the jobs in their order, `at_once` at a time; returns the outcomes as the jobs ended.

    `folder` takes the output while they run. `say` is given headings and progress, `show` the
    output of a job that has ended. SIGINT, SIGTERM and SIGHUP end all jobs: `KeyboardInterrupt`.
    A job that prints nothing for `silence` seconds is ended, and is told of as `HUNG`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    waiting, running, outcomes = deque(jobs), list[_Running](), list[Outcome]()
    moving = MovingLine(say, quiet=_QUIET)
    with _signals_kept() as signals:
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    running.append(_Running(waiting.popleft(), folder))
                for one in [one for one in running if one.is_silent_for(silence)]:
                    moving.clear()
                    say(f"{one.job.name}: HUNG, it has printed nothing for {silence:g} s; ended")
                    one.process.send_signal(_TELL)
                    time.sleep(_TELL_TIME)
                    _stop([one])
                for one in [one for one in running if one.has_ended()]:
                    running.remove(one)
                    outcomes.append(one.outcome())
                    moving.clear()
                    say(f"{one.job.name}: {time.monotonic() - one.started:.0f} s")
                    show(outcomes[-1].printed.rstrip())
                if moving.is_due():
                    moving.show(" · ".join(one.words() for one in running))
                time.sleep(TICK)
                if signals:
                    raise KeyboardInterrupt
        finally:
            moving.clear()
            _stop(running)
            for one in running:
                say(f"{one.job.name}: stopped after {time.monotonic() - one.started:.0f} s")
                show(one.outcome().printed.rstrip())
    return outcomes


@contextmanager
def _signals_kept() -> Iterator[list[int]]:
    """The signals that have come since: one that raised in the middle of a start would leave a job
    that nobody knows of, and a second one would disturb the end of all of them."""
    received: list[int] = []
    former = {
        each: signal.signal(each, lambda number, frame: received.append(number))
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield received
    finally:
        for each, handler in former.items():
            signal.signal(each, handler)


class _Running:
    """A job that has been started."""

    def __init__(self, job: Job, folder: Path) -> None:
        self.job = job
        self.started = time.monotonic()
        self._output = folder / f"{job.name.replace(' ', '-')}.log"
        self._size, self._grown = 0, self.started
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                job.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # What has been printed shows how far it is.
                env={**os.environ, "PYTHONUNBUFFERED": "1", **job.environment},
            )

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def is_silent_for(self, seconds: float) -> bool:
        """Whether the job still runs and has printed nothing for so long."""
        now, size = time.monotonic(), self._output.stat().st_size
        if size != self._size:
            self._size, self._grown = size, now
        return not self.has_ended() and now - self._grown >= seconds

    def outcome(self) -> Outcome:
        return Outcome(self.job, self.process.wait(), self._printed())

    def words(self) -> str:
        return f"{self.job.name} {self.job.progress(self._printed())}".rstrip()

    def _printed(self) -> str:
        return self._output.read_text(errors="replace")


def _stop(running: Sequence[_Running]) -> None:
    for one in running:
        one.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + _STOP_TIMEOUT
    for one in running:
        try:
            one.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            one.process.kill()
            one.process.wait()
