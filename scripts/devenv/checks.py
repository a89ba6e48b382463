"""`scripts/test`: linters, type checker, import rules and every tier of tests.

With `--coverage` the unit and the integration tier are measured, and then take twice their time.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from devenv import (
    command_lines,
    packages,
    pytest_output,
    rabbitmq,
    second_try,
    side_by_side,
    vendor,
)
from devenv.errors import SetupError
from devenv.side_by_side import Job, Outcome

#: pytest's exit codes: some tests failed; there were none to run.
_TESTS_FAILED, _NO_TESTS = 1, 5
_INTERRUPTED: Final = 130
_LINTERS: Final = {
    "ruff check": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy"],
    "import rules": ["lint-imports"],
}
#: Tier -> what it needs from the distribution.
_TIERS: Final[dict[str, list[str]]] = {
    "unit": [],
    "integration": [
        "apache2-bin",
        "curl",
        "haproxy",
        "libnginx-mod-stream",
        "nginx",
        "npm",
        "openssl",
        "pgbouncer",
        "postgresql",
        "prometheus",
        "systemd",
    ],
    "acceptance": ["apache2-bin", "chromium", "haproxy", "npm", "postgresql"],
}
#: What gateways, and the commands of the tests, import.
_COMPILED: Final = ("broker", "gateway", "scripts")
#: The acceptance tier in parts, each on a cluster of its own. What none of them names belongs to
#: the last.
_PARTS: Final = (
    ["live"],
    ["browser"],
    ["cluster"],
    ["http", "messages"],
    ["bench", "broker", "chaos", "devenv"],
)
#: What depends most on RabbitMQ's version runs on the newest one, too, in parts like these.
_NEWEST_PARTS: Final = {
    "live": [
        "live/test_hub.py",
        "live/test_private_queue.py",
        "live/test_mended_queues.py",
        "live/test_rescue.py",
        "live/test_access_rules.py",
        "live/test_shared_patterns.py",
        "live/test_conformance.py",
    ],
    "broker": ["broker", "cluster/test_two_gateways.py", "messages/test_mending.py"],
}
#: On a large machine more would only wait for the longest of them.
_MOST_AT_ONCE: Final = 4

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_WORK: Final = Path(".run") / "checks"
_CACHE: Final = Path(".pytest_cache")


def main() -> int:
    """Run everything, or the tiers named first on the command line; the rest goes to pytest."""
    if sys.argv[1:] in (["-h"], ["--help"]):
        print(command_lines.TEST_USAGE)
        return 0
    rest = sys.argv[1:]
    started = time.monotonic()
    try:
        rabbitmq.choose(_taken_out(rest, "--rabbitmq") or rabbitmq.chosen())
        tiers = []
        while rest and rest[0] in _TIERS:
            tiers.append(rest.pop(0))
        _prepare(tiers or list(_TIERS))
        if tiers:
            folders = _folders(tiers, rest)
            return _run([_program("python"), "-m", "pytest", *folders, *rest])
        _signals_raise()
        with _only_one():
            return _everything(rest, started)
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        _say("stopped")
        return _INTERRUPTED


def _prepare(tiers: list[str]) -> None:
    needed = {package for tier in tiers for package in _TIERS[tier]}
    packages.ensure(sorted(needed), _say)
    if "acceptance" in tiers:
        rabbitmq.ensure(_say)
    if "npm" in needed:
        vendor.ensure(_say)


def _taken_out(arguments: list[str], option: str) -> str | None:
    """The value of an option, which is removed from the arguments together with it."""
    for number, argument in enumerate(arguments):
        name, joined, value = argument.partition("=")
        if name != option:
            continue
        taken = [value] if joined else arguments[number + 1 : number + 2]
        del arguments[number : number + (1 if joined else 2)]
        if not taken or not taken[0] or taken[0].startswith("-"):
            raise SetupError(f"{option}: name a version, one of {', '.join(rabbitmq.SUITES)}")
        return taken[0]
    return None


def _newest() -> tuple[list[Job], str | None]:
    """The sessions on the newest RabbitMQ, and why there are none; None: there is no need to say.

    Raises `SetupError` if it could not be fetched: that the archive has none is the only excuse.
    """
    if rabbitmq.chosen() or rabbitmq.version().startswith(f"{rabbitmq.NEWEST}."):
        return [], None
    try:
        rabbitmq.choose(rabbitmq.NEWEST)
        rabbitmq.ensure(_say)
    except rabbitmq.NotInArchive as error:
        return [], str(error)
    finally:
        rabbitmq.choose(None)
    acceptance = Path(_folder("acceptance"))
    return [
        _session(
            f"acceptance on {rabbitmq.NEWEST} {name}",
            [str(acceptance / path) for path in paths],
            version=rabbitmq.NEWEST,
        )
        for name, paths in _NEWEST_PARTS.items()
    ], None


@contextmanager
def _only_one() -> Iterator[None]:
    """A lock for the whole run: two runs in one checkout would mix up their files."""
    with _WORK.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SetupError("scripts/test is running in this checkout already") from None
        yield


def _everything(arguments: list[str], started: float) -> int:
    """Run all checks and all tests side by side; returns the exit code."""
    shutil.rmtree(_WORK, ignore_errors=True)
    # Some hundred gateways are started, where a machine may be set up to keep no compiled code
    # (PYTHONDONTWRITEBYTECODE): each would compile everything, for a third of its start.
    _run([_program("python"), "-m", "compileall", "-q", *_COMPILED])
    linters = [Job(name, [_program(program), *rest]) for name, (program, *rest) in _LINTERS.items()]
    if measured := "--coverage" in arguments:
        arguments = [each for each in arguments if each != "--coverage"]
        _run([_program("coverage"), "erase"])
    # Arguments of pytest are about one session (-x, --last-failed, --durations).
    newest, lacking = ([], None) if arguments else _newest()
    tests = (
        [_session("tests", [*_paths(), *arguments], measured=measured)]
        if arguments
        else _sessions(newest, measured=measured)
    )
    outcomes = side_by_side.run(
        # What takes longest, and beside it what is soon known.
        [*tests[:1], *linters, *tests[1:]],
        # As many as there are cores: with one more, tests that keep real deadlines miss some.
        at_once=min(len(os.sched_getaffinity(0)), _MOST_AT_ONCE),
        folder=_WORK,
        say=_say,
    )
    sessions = [outcome for outcome in outcomes if outcome.job in tests]
    red = [outcome.job.name for outcome in outcomes if outcome.code and outcome.job in linters]
    if measured:
        _say("coverage")
        _run([_program("coverage"), "combine", "--quiet"])
        _run([_program("coverage"), "report"])
    code, counts = _verdict(sessions)
    print(f"· {time.monotonic() - started:.0f} s")
    if red:
        print(f"FAILED: {', '.join(red)}")
    if lacking:
        print(f"NOT RUN: the tests on RabbitMQ {rabbitmq.NEWEST}. {lacking}")
    # Last, where everybody looks for it.
    print(pytest_output.closing_line(counts, time.monotonic() - started), flush=True)
    return code or int(bool(red))


def _paths() -> list[str]:
    return [_folder(tier) for tier in _TIERS]


def _sessions(newest: list[Job], *, measured: bool = False) -> list[Job]:
    """The sessions of pytest, with those on the newest RabbitMQ, in the order of their start: what
    takes longest comes first, so that no core waits for long at the end."""
    acceptance = Path(_folder("acceptance"))
    named = {name for part in _PARTS for name in part}
    others = {path.relative_to(acceptance).parts[0] for path in acceptance.rglob("test_*.py")}
    parts = [*_PARTS[:-1], [*_PARTS[-1], *sorted(others - named)]]
    unit, integration = (
        _session(tier, [_folder(tier)], measured=measured) for tier in ("unit", "integration")
    )
    live, browser, cluster, small, mixed = [
        _session(f"acceptance {'+'.join(part)}", [str(acceptance / name) for name in part])
        for part in parts
    ]
    return [live, browser, unit, cluster, *newest, integration, mixed, small]


def _session(
    name: str, arguments: list[str], *, version: str | None = None, measured: bool = False
) -> Job:
    program = [_program("coverage"), "run"] if measured else [_program("python")]
    command = [*program, "-m", "pytest", "-o", f"cache_dir={_cache(name)}"]
    color = ["--color=yes"] if sys.stdout.isatty() else []
    environment = {rabbitmq.VARIABLE: version} if version else {}
    return Job(name, [*command, *color, *arguments], pytest_output.progress, environment)


def _cache(session: str) -> Path:
    """The cache_dir of a session: side by side each needs one of its own."""
    return _WORK.absolute() / f"{session.replace(' ', '-')}.cache"


def _verdict(sessions: list[Outcome]) -> tuple[int, Counter[str]]:
    """The exit code and the counts of all sessions, after the second try of some failed tests."""
    counts = sum((pytest_output.counts(each.printed) for each in sessions), Counter[str]())
    codes = [abs(each.code) for each in sessions if each.code != _NO_TESTS]
    code = max(codes, default=_NO_TESTS)
    failed = [
        _Failed(name, each.job.environment.get(rabbitmq.VARIABLE))
        for each in sessions
        for name in second_try.failed(_cache(each.job.name))
    ]
    tried = second_try.candidates([each.name for each in failed], of=counts.total())
    if code == _TESTS_FAILED and tried:
        again = [each for each in failed if each.name in tried]
        _say("a second try for " + ", ".join(map(str, again)))
        left = [each for each in failed if each not in again] + _failed_again(again)
        if passed := [each for each in failed if each not in left]:
            _say("PASSED ONLY AT THE SECOND TRY: " + ", ".join(map(str, passed)))
        counts["passed"] += len(passed)
        counts["failed"], counts["error"] = len(left), 0
        code = _TESTS_FAILED if left else 0
        failed = left
    # For whoever asks pytest for --last-failed afterwards.
    second_try.remember(_CACHE, [each.name for each in failed])
    for each in failed:
        print(f"FAILED: {each}")
    return code, counts


@dataclass(frozen=True)
class _Failed:
    """A test that failed on a version of RabbitMQ; None: the one that was chosen for all."""

    name: str
    version: str | None

    def __str__(self) -> str:
        return f"{self.name} on RabbitMQ {self.version}" if self.version else self.name


def _failed_again(tests: list[_Failed]) -> list[_Failed]:
    """The tests that fail once more, each on its version, one after the other."""
    left = []
    # In the order of the first failure of each version.
    for version in dict.fromkeys(each.version for each in tests):
        names = [each.name for each in tests if each.version == version]
        second_try.remember(_CACHE, names)
        environment = {rabbitmq.VARIABLE: version} if version else {}
        _run([_program("python"), "-m", "pytest", *names], environment)
        failing = second_try.failed(_CACHE)
        left += [_Failed(name, version) for name in names if name in failing]
    return left


def _program(name: str) -> str:
    return f"{sys.prefix}/bin/{name}"


def _folder(tier: str) -> str:
    return f"tests/{tier}"


def _folders(tiers: list[str], arguments: list[str]) -> list[str]:
    """The folders of the tiers, without those of which the arguments name some tests."""
    folders = [_folder(tier) for tier in tiers]
    return [each for each in folders if not any(a.startswith(f"{each}/") for a in arguments)]


def _run(command: list[str], environment: Mapping[str, str] | None = None) -> int:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
        check=False,
    ).returncode


def _signals_raise() -> None:
    """Let a signal end the jobs, and let a second signal not disturb that."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for each in _SIGNALS:
        signal.signal(each, interrupt)


def _say(text: str) -> None:
    print(f"· {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
