"""The wheel that `scripts/package` makes, on a machine without a checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from http.client import HTTPConnection
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from devenv import build_backend, gateway_package, vendor

_PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    vendor.ensure(print)
    return gateway_package.build(tmp_path_factory.mktemp("package"), print)


def test_a_wheel_has_everything_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {"gateway/commit", "gateway/py.typed", "broker/py.typed"}
    for source, target in (
        ("static", "gateway/static"),
        ("conf", "gateway/conf"),
        ("gateway/store/migrations", "gateway/store/migrations"),
    ):
        files = _files(_PROJECT / source)
        assert files
        wanted |= {f"{target}/{name}" for name in files}
    code = {
        f"{package}/{name}"
        for package in ("gateway", "broker")
        for name in _files(_PROJECT / package)
        if name.endswith(".py")
    }
    assert packed == wanted | code


def test_it_serves_from_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    """As one installs it: pip, init, serve."""
    environment, place = _fresh_environment(tmp_path / "venv", wheel), tmp_path / "empty"
    place.mkdir()
    variables = {name: value for name, value in os.environ.items() if name[:8] != "GATEWAY_"}
    variables.pop("PYTHONPATH", None)

    def gateway(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own program
            [environment / "bin" / "gateway", *arguments],
            cwd=place,
            env=variables | more,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    told = gateway("--version").stdout
    assert re.match(
        rf"interact-gateway {version('interact-gateway')} \(commit [0-9a-f]{{12}}", told
    )
    begun = gateway("init", "--origin", "http://localhost:8080")
    assert begun.returncode == 0, begun.stderr
    # Everything that the text names is there.
    named = re.search(r"/\S+/rabbitmq\.conf", begun.stdout)
    assert named is not None
    assert Path(named[0]).is_relative_to(environment)
    assert Path(named[0]).is_file()
    ports = {f"GATEWAY_SERVER__{name}": "0" for name in ("PORT", "INTERNAL_PORT")}
    process = subprocess.Popen(  # noqa: S603 - our own program
        [environment / "bin" / "gateway", "serve"],
        cwd=place,
        # Port 9 (discard): nobody listens there.
        env=variables
        | ports
        | {
            "GATEWAY_SERVER__ADDRESS": "127.0.0.1",
            "GATEWAY_SERVER__NOTICE_TIME": "0",
            "GATEWAY_BROKER__NODES": (
                '[{"name":"r1","web_stomp":"ws://127.0.0.1:9/ws","amqp":"amqp://127.0.0.1:9"}]'
            ),
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        seen = ""
        for line in process.stderr:
            seen += line
            if found := re.search(r"serving (\S+),", line):
                break
        else:
            pytest.fail(f"the gateway ended:\n{seen}")
        assert "not built" not in seen
        page = _get(found[1], "/")
        script = re.search(r"/static/built/[\w-]+\.js|/built/[\w-]+\.js", page)
        assert script is not None, page
        assert len(_get(found[1], script[0])) > 10_000
        assert (place / "interact.db").stat().st_mode & 0o777 == 0o600
        process.terminate()
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.communicate()


def _fresh_environment(folder: Path, wheel: Path) -> Path:
    """A virtual environment with the wheel, and with what the wheel depends on from this one."""
    run = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(run, check=True, timeout=60)  # noqa: S603 - our own Python
    python = folder / "bin" / "python"
    install = [
        *(sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"),
        *("--disable-pip-version-check", "--no-index", "--no-deps", str(wheel)),
    ]
    subprocess.run(install, check=True, timeout=120)  # noqa: S603 - our own Python
    (packages,) = folder.glob("lib/python*/site-packages")
    here = next(path for path in sys.path if path.endswith("site-packages"))
    # Behind its own; what is editable there is not followed.
    (packages / "dependencies.pth").write_text(f"{here}\n")
    return folder


def _get(url: str, path: str) -> str:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200, path
        return answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize(
    "missing",
    ["static/vendor/uplot/index.js", "static/built/manifest.json", "static/built/room.html.br"],
)
def test_without_a_file_of_the_pages_there_is_no_wheel(
    wheel: Path, tmp_path: Path, missing: str
) -> None:
    tree = _tree(tmp_path)
    build_backend.check(tree)
    (tree / missing).unlink()
    with pytest.raises(build_backend.Incomplete, match=re.escape(f"{missing} is missing")):
        build_backend.check(tree)


def test_of_old_pages_there_is_no_wheel(wheel: Path, tmp_path: Path) -> None:
    tree = _tree(tmp_path)
    with (tree / "static" / "room" / "main.js").open("a") as file:
        file.write("// changed\n")
    with pytest.raises(build_backend.Incomplete, match="not made of the pages' sources"):
        build_backend.check(tree)
    # pip asks the back end that pyproject.toml names.
    assert 'build-backend = "devenv.build_backend"' in (_PROJECT / "pyproject.toml").read_text()


def _tree(folder: Path) -> Path:
    shutil.copytree(_PROJECT / "static", folder / "static")
    shutil.copy(_PROJECT / "package-lock.json", folder)
    return folder


def _files(folder: Path) -> set[str]:
    """The files below `folder` that matter to a program: no hidden ones, no caches."""
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.suffix != ".pyc"
    }
