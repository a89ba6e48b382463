"""A process that outlives whoever started it, and is found again by a mark in its environment.

No pid files: a session that was killed leaves none behind that lie, and a pid that the system
gave to someone else is never mistaken for ours. Works from any terminal of the same user.
"""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

MARK = "INTERACT_DAEMON"
_STOPS_WITHIN = 10.0
#: What no longer does anything after SIGSTOP.
_STANDS = (psutil.STATUS_STOPPED, psutil.STATUS_DEAD, psutil.STATUS_ZOMBIE)


class Daemon:
    """The process (with its children) started under `mark`, running or not.

    `stop_signal` asks it for an orderly end.
    """

    def __init__(
        self, mark: str, log: Path, *, stop_signal: signal.Signals = signal.SIGTERM
    ) -> None:
        self.mark = mark
        self.log = log
        self._stop_signal = stop_signal
        self._child: int | None = None

    def spawn(self, argv: Sequence[str | Path], env: Mapping[str, str]) -> None:
        """Start it in a session of its own; standard output and error are appended to `log`."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._child = os.posix_spawnp(
            argv[0],
            [str(argument) for argument in argv],
            {**env, MARK: self.mark},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )

    def processes(self) -> list[psutil.Process]:
        """The processes under the mark, parents before children; none if it is not running."""
        self._reap()
        found = []
        for process in psutil.process_iter():
            try:
                # A process that is just becoming another program shows no environment.
                if process.pid == self._child or process.environ().get(MARK) == self.mark:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        pids = {process.pid for process in found}
        return sorted(found, key=lambda process: _parent(process) in pids)

    def alive(self) -> bool:
        return bool(self.processes())

    def paused(self) -> bool:
        """Whether it is stopped by `pause`."""
        return any(_status(process) == psutil.STATUS_STOPPED for process in self.processes())

    def pause(self) -> None:
        """Let it hang (SIGSTOP): its sockets stay open. On a busy machine it goes on for a moment
        after the signal; this returns when it has stopped."""
        self._signal_all(signal.SIGSTOP)
        deadline = time.monotonic() + _STOPS_WITHIN
        while time.monotonic() < deadline:
            if all(_status(each) in _STANDS for each in self.processes()):
                return
            time.sleep(0.005)

    def resume(self) -> None:
        """Let it go on after a pause (SIGCONT)."""
        self._signal_all(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it (SIGKILL), as if the machine had lost power; returns when it is gone."""
        self._signal_all(signal.SIGKILL)
        self._is_gone_within(10)

    def terminate(self) -> None:
        """Ask for an orderly end and return at once."""
        self.resume()
        for process in self.processes()[:1]:
            _signal(process, self._stop_signal)

    def stop(self, timeout: float) -> None:
        """Ask for an orderly end, and after `timeout` seconds SIGKILL."""
        self.terminate()
        self.wait_gone(timeout)

    def wait_gone(self, timeout: float) -> None:
        """Wait for the end that `terminate` asked for; after `timeout` seconds SIGKILL."""
        if not self._is_gone_within(timeout):
            self.kill()

    def log_tail(self, lines: int = 25) -> str:
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _reap(self) -> None:
        # A dead child keeps its pid until somebody asks for its status, and PostgreSQL takes a
        # pid that still exists for a server that still runs.
        if self._child is not None and os.waitpid(self._child, os.WNOHANG)[0]:
            self._child = None

    def _signal_all(self, number: signal.Signals) -> None:
        for process in self.processes():
            _signal(process, number)

    def _is_gone_within(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True


def kill_under(folder: Path) -> None:
    """Kill every process whose mark begins with `folder`: the remains of a dead session."""
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK, "").startswith((f"{folder}:", f"{folder}/")):
                process.kill()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def _parent(process: psutil.Process) -> int:
    try:
        return process.ppid()
    except psutil.NoSuchProcess:
        return 0


def _status(process: psutil.Process) -> str:
    try:
        return process.status()
    except psutil.NoSuchProcess:
        return psutil.STATUS_DEAD


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return
