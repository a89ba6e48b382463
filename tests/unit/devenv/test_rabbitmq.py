"""Other versions of RabbitMQ: which of Debian's releases has one, and what cannot be had."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from devenv import rabbitmq
from devenv.errors import SetupError
from devenv.moving_line import Progress

Archive = Callable[..., list[str]]


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """Sets the version that each suite of Debian's archive has; None: it cannot be read.

    The list is of the suites from which something was fetched.
    """
    fetched: list[str] = []

    def prepare(**suites: str | None) -> list[str]:
        def run(command: Sequence[str], progress: Progress, *, may_fail: bool = False) -> list[str]:
            if "indextargets" in command:
                return ["Debian|main|http://archive.example/debian"]
            options = dict(part.split("=", 1) for part in command if "::" in part)
            source = Path(options["Dir::Etc::sourcelist"]).read_text()
            assert "http://archive.example/debian" in source
            suite = source.split()[-2]
            if "update" in command and suites[suite] is None:
                raise SetupError("apt-get failed: no route to host")
            if "show" in command:
                has = suites[suite]
                return [f"Version: {has}-1"] if has else []
            if "install" in command:
                assert "--download-only" in command
                fetched.append(suite)
                server = f"usr/lib/rabbitmq/lib/rabbitmq_server-{suites[suite]}/sbin"
                (Path(options["Dir::State"]).parents[1] / "root" / server).mkdir(parents=True)
            return []

        monkeypatch.setattr(rabbitmq, "_FOLDER", tmp_path)
        monkeypatch.setattr(rabbitmq, "_run", run)
        return fetched

    return prepare


def ensured(version: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setenv(rabbitmq.VARIABLE, version)
    rabbitmq.ensure(said.append)
    return said


def test_the_first_release_that_has_it_is_taken_and_only_once(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = archive(forky="4.4.1", sid="4.3.9")
    said = ensured("4.3", monkeypatch)
    assert fetched == ["sid"]
    assert said[-1] == "fetching RabbitMQ 4.3.9 from Debian's sid (apt)"
    assert rabbitmq.version() == "4.3.9"
    assert ensured("4.3", monkeypatch) == []


def test_4_4_is_there_as_soon_as_the_archive_has_it(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = archive(forky="4.3.6", sid="4.4.0~rc1")
    ensured("4.4", monkeypatch)
    assert (fetched, rabbitmq.version()) == (["sid"], "4.4.0~rc1")


def test_a_version_that_no_release_has_is_said_with_what_they_have(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = archive(forky="4.30.1", sid="")
    told = r"RabbitMQ 4\.3 cannot be had from .* archive: forky has 4\.30\.1; sid has none"
    with pytest.raises(rabbitmq.NotInArchive, match=told):
        ensured("4.3", monkeypatch)
    assert fetched == []


def test_an_archive_that_cannot_be_read_is_not_one_that_has_none(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive(forky="4.4.1", sid=None)
    with pytest.raises(SetupError, match="sid cannot be read: apt-get failed: no route") as caught:
        ensured("4.3", monkeypatch)
    assert not isinstance(caught.value, rabbitmq.NotInArchive)


def test_a_version_that_is_not_known_is_refused_with_those_that_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(rabbitmq.VARIABLE, "")
    with pytest.raises(SetupError, match=r"4\.9 is not known here: choose 3\.10, 4\.0, 4\.3, 4\.4"):
        rabbitmq.choose("4.9")
    with pytest.raises(SetupError, match="not known here"):
        ensured("latest", monkeypatch)
