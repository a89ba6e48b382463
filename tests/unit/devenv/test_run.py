"""`scripts/run`: the version of RabbitMQ that was asked for is the one that runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from devenv import local, packages, rabbitmq, run, vendor
from devenv.local import Local


@pytest.mark.parametrize(("before", "asked"), [(None, "4.3"), ("4.3", None), ("4.0", "4.3")])
def test_what_an_earlier_run_had_does_not_count(
    before: str | None, asked: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(rabbitmq.VARIABLE, "")
    monkeypatch.setattr(local, "FOLDER", tmp_path)
    Local(1, 8080, before).remember()
    started: list[Local] = []

    @contextmanager
    def running(here: Local, *, with_tls: bool, address: str | None) -> Iterator[None]:
        assert address is None, "loopback is the default"
        started.append(here)
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(run, "_running", running)
    monkeypatch.setattr(run, "_signals_raise", lambda: None)
    for module in (rabbitmq, vendor):
        monkeypatch.setattr(module, "ensure", lambda progress: None)
    monkeypatch.setattr(packages, "ensure", lambda names, progress: None)
    monkeypatch.setattr(sys, "argv", ["run", *(["--rabbitmq", asked] if asked else [])])

    assert run.main() == 0
    assert started == [Local(1, 8080, asked)]
