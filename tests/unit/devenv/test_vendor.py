"""The layout of the browser libraries."""

from pathlib import Path

import pytest

from devenv import vendor
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


def test_the_lock_file_names_no_registry() -> None:
    lock = (vendor.PROJECT / "package-lock.json").read_text()

    assert "://" not in lock
    assert "resolved" not in lock
