"""`scripts/test`: linters, type checker, import rules and every tier of tests, with coverage."""

import os
import subprocess
import sys
import time
from pathlib import Path

from devenv import command_lines, packages, rabbitmq, second_try, vendor
from devenv.errors import SetupError

#: pytest's exit code when tests ran and some failed.
_TESTS_FAILED = 1
_LINTERS = (
    ("ruff check", ["ruff", "check", "."]),
    ("ruff format", ["ruff", "format", "--check", "."]),
    ("mypy", ["mypy"]),
    ("import rules", ["lint-imports"]),
)
#: Tier -> what it needs from the distribution.
_TIERS: dict[str, list[str]] = {
    "unit": [],
    "integration": ["npm", "pgbouncer", "postgresql"],
    "acceptance": ["chromium", "npm", "postgresql"],
}


def main() -> int:
    """Everything, or the tiers named first on the command line; the rest goes to pytest."""
    if sys.argv[1:] in (["-h"], ["--help"]):
        print(command_lines.TEST_USAGE)
        return 0
    rest = sys.argv[1:]
    if rest[:1] == ["--rabbitmq"]:
        os.environ[rabbitmq.VARIABLE] = "".join(rest[1:2])
        del rest[:2]
    tiers = []
    while rest and rest[0] in _TIERS:
        tiers.append(rest.pop(0))
    started = time.monotonic()
    try:
        _prepare(tiers or list(_TIERS))
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    if tiers:
        return _run([_program("python"), "-m", "pytest", *map(_folder, tiers), *rest])
    failed = [name for name, command in _LINTERS if not _passes(name, command)]
    code, closing_line = _tests_with_coverage(rest)
    if code == _TESTS_FAILED and (names := second_try.candidates(Path.cwd())):
        _say("a second try for " + ", ".join(names))
        code, closing_line = _watched([_program("python"), "-m", "pytest", *names])
        if code == 0:
            _say("PASSED ONLY AT THE SECOND TRY: " + ", ".join(names))
    print(f"· {time.monotonic() - started:.0f} s")
    if failed:
        print(f"FAILED: {', '.join(failed)}")
    # Last, where everybody looks for it.
    print(closing_line, flush=True)
    return code or int(bool(failed))


def _prepare(tiers: list[str]) -> None:
    needed = {package for tier in tiers for package in _TIERS[tier]}
    packages.ensure(sorted(needed), _say)
    if "acceptance" in tiers:
        rabbitmq.ensure(_say)
    if "npm" in needed:
        vendor.ensure(_say)


def _passes(name: str, command: list[str]) -> bool:
    _say(name)
    program, *arguments = command
    return _run([_program(program), *arguments]) == 0


def _tests_with_coverage(arguments: list[str]) -> tuple[int, str]:
    """Run every tier in one session and report; pytest's exit code and its closing line."""
    _say("tests: " + ", ".join(_TIERS))
    coverage = [_program("coverage")]
    _run([*coverage, "erase"])
    command = [*coverage, "run", "-m", "pytest", *map(_folder, _TIERS), *arguments]
    if sys.stdout.isatty():
        command.append("--color=yes")
    result = _watched(command)
    _say("coverage")
    _run([*coverage, "combine", "--quiet"])
    _run([*coverage, "report"])
    return result


def _watched(command: list[str]) -> tuple[int, str]:
    """Run pytest, showing what it prints; its exit code and its closing line."""
    reader, writer = os.pipe()
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=writer,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as tests:
        os.close(writer)
        # Passed on as it comes, not line by line: a dot is progress as well.
        written = b""
        while chunk := os.read(reader, 65_536):
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
            written = (written + chunk)[-4096:]
    os.close(reader)
    return tests.returncode, written.decode(errors="replace").rstrip().rpartition("\n")[2]


def _program(name: str) -> str:
    return f"{sys.prefix}/bin/{name}"


def _folder(tier: str) -> str:
    return f"tests/{tier}"


def _run(command: list[str]) -> int:
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode


def _say(text: str) -> None:
    print(f"· {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
