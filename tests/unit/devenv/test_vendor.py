"""The layout of the browser libraries."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from devenv import page_build, vendor
from devenv.errors import SetupError


def _modules(folder: Path) -> Path:
    for name in (
        "@stomp/stompjs/esm6/index.js",
        "@stomp/stompjs/esm6/index.d.ts",
        "@stomp/stompjs/esm6/index.js.map",
        "@stomp/stompjs/esm6/compatibility/stomp.js",
        "@stomp/stompjs/LICENSE",
        "uplot/dist/uPlot.esm.js",
        "uplot/dist/uPlot.d.ts",
        "uplot/dist/uPlot.min.css",
        "uplot/LICENSE",
        "qr/index.js",
        "qr/index.d.ts",
        "qr/decode.js",
        "qr/LICENSE",
        "@phosphor-icons/core/LICENSE",
        *(f"@phosphor-icons/core/assets/bold/{icon}-bold.svg" for icon in vendor.ICONS),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def test_pages_find_modules_with_types_styles_and_licences_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "vendor"

    vendor.lay_out(_modules(tmp_path / "node_modules"), target)

    assert {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()} == {
        "stompjs/index.js",
        "stompjs/index.d.ts",
        "stompjs/compatibility/stomp.js",
        "stompjs/LICENSE",
        "uplot/index.js",
        "uplot/index.d.ts",
        "uplot/uplot.css",
        "uplot/LICENSE",
        "qr/index.js",
        "qr/index.d.ts",
        "qr/LICENSE",
        "icons/LICENSE",
        *(f"icons/{icon}.svg" for icon in vendor.ICONS),
    }


def test_a_package_that_looks_different_is_named(tmp_path: Path) -> None:
    modules = _modules(tmp_path / "node_modules")
    (modules / "uplot/dist/uPlot.esm.js").unlink()

    with pytest.raises(SetupError, match=r"uplot/dist/uPlot\.esm\.js"):
        vendor.lay_out(modules, tmp_path / "vendor")


def test_two_scripts_in_one_checkout_make_the_pages_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "static").mkdir()
    order: list[str] = []
    first_is_in, second_waits = threading.Event(), threading.Event()

    def make(progress: Callable[[str], None], project: Path) -> None:
        progress("begin")
        first_is_in.set()
        # Whoever comes second has met the lock by then; without one it would begin.
        assert second_waits.wait(30)
        progress("end")

    def told_to(who: str) -> Callable[[str], None]:
        def progress(text: str) -> None:
            order.append(f"{who} {text.partition(' ')[0]}")
            if who == "second":
                second_waits.set()

        return progress

    monkeypatch.setattr(vendor, "_ensure_libraries", make)
    monkeypatch.setattr(page_build, "ensure", lambda *_: None)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(vendor.ensure, told_to("first"), tmp_path)
        assert first_is_in.wait(30)
        second = threads.submit(vendor.ensure, told_to("second"), tmp_path)
        first.result(30)
        second.result(30)
    assert order == [
        "first begin",
        "second waiting",
        "first end",
        "second begin",
        "second end",
    ]


def test_the_lock_file_names_no_registry() -> None:
    lock = (vendor.PROJECT / "package-lock.json").read_text()

    assert "://" not in lock
    assert "resolved" not in lock
