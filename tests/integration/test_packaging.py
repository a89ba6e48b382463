"""The files that `pip install .` puts on a machine without a checkout."""

import subprocess
import sys
from pathlib import Path

from devenv import vendor

_PROJECT = Path(__file__).parents[2]


def test_an_installed_gateway_has_its_pages_and_its_migrations(tmp_path: Path) -> None:
    vendor.ensure(print)
    build = ["build", "--build-base", str(tmp_path / "base"), "--build-lib", str(tmp_path / "lib")]
    subprocess.run(  # noqa: S603 - our own files
        [sys.executable, "-c", "import setuptools; setuptools.setup()", "--quiet", *build],
        cwd=_PROJECT,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=True,
    )
    installed = tmp_path / "lib" / "gateway"
    for source, target in (
        (_PROJECT / "static", installed / "static"),
        (_PROJECT / "gateway/store/migrations", installed / "store/migrations"),
    ):
        assert _files(source)
        assert _files(target) == _files(source)
    assert {"built/manifest.json", "built/room.html.br"} <= _files(installed / "static")


def _files(folder: Path) -> set[str]:
    """The files below `folder` that matter to a program: no hidden ones, no caches."""
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.suffix != ".pyc"
    }
