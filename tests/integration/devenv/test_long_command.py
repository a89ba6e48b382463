"""A command that takes long shows that it goes on, and what went wrong if it failed."""

import io
from pathlib import Path

import pytest

from devenv import long_command, python_packages
from devenv.errors import SetupError

_MISSING = "WARNING: Location 'file:///opt/index/uvloop/' is ignored: it is neither a file nor a …"


def _shell(script: str, *arguments: str) -> list[str]:
    return ["sh", "-c", script, "sh", *arguments]


#: Says one thing and goes on until the file that it is given exists, for ten seconds at most.
_UNTIL_SEEN = """
echo Collecting uvloop
for turn in $(seq 200); do [ -e "$1" ] && exit 0; sleep 0.05; done
exit 1
"""


def test_a_log_hears_now_and_then_what_was_said_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_command, "_QUIET", 0.1)
    said: list[str] = []

    def progress(text: str) -> None:
        said.append(text)
        (tmp_path / "seen").touch()

    ended = long_command.run(_shell(_UNTIL_SEEN, str(tmp_path / "seen")), progress)

    assert ended.code == 0
    assert said[0] == "… 0 s  Collecting uvloop"


class _Terminal(io.StringIO):
    """The output to a terminal. A file is made as soon as `wanted` is seen there."""

    def __init__(self, wanted: str, seen: Path) -> None:
        super().__init__()
        self._wanted, self._seen = wanted, seen

    def isatty(self) -> bool:
        return True

    def flush(self) -> None:
        if self._wanted in self.getvalue():
            self._seen.touch()


def test_on_a_terminal_one_line_moves_and_is_gone_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = _Terminal("… 1 s  Collecting uvloop", tmp_path / "seen")
    monkeypatch.setattr("sys.stdout", terminal)
    said: list[str] = []

    ended = long_command.run(_shell(_UNTIL_SEEN, str(tmp_path / "seen")), said.append)

    assert ended.code == 0
    assert "\n" not in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")
    assert said == []


def test_the_last_words_of_a_failed_command_are_there() -> None:
    ended = long_command.run(_shell("seq 100; echo no network >&2; exit 3"), print)

    assert ended.code == 3
    assert ended.tail(3) == "99\n100\nno network"


def test_of_a_flood_the_end_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_command, "_KEPT", 100)

    ended = long_command.run(_shell("seq 100000; echo the end"), print)

    assert ended.lines[-1] == "the end"
    assert len("\n".join(ended.lines)) <= 100


def _pip(script: str) -> tuple[str, ...]:
    return ("sh", "-c", f'echo "{_MISSING}" >&2\n{script}', "pip")


def test_warnings_of_pip_about_local_indexes_bury_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    python_packages.ensure(said.append, _pip("echo 'WARNING: a wheel was yanked'; echo Collecting"))

    assert said == ["installing the Python packages (pip)", "pip: WARNING: a wheel was yanked"]


def test_the_reason_of_a_failure_of_pip_is_shown_without_them() -> None:
    with pytest.raises(SetupError, match=r"packages:\nERROR: no uvloop$"):
        python_packages.ensure(lambda text: None, _pip("echo 'ERROR: no uvloop'; exit 1"))


def test_pip_is_asked_for_this_project_with_what_its_tests_need() -> None:
    said: list[str] = []

    python_packages.ensure(said.append, _pip('echo "WARNING: $*"'), extras="test,postgres")

    asked = said[-1].removeprefix("pip: WARNING: ").split()
    assert asked[0] == "install"
    assert asked[-2:] == ["--editable", ".[test,postgres]"]
    assert all(argument.startswith("--") for argument in asked[1:-1])
