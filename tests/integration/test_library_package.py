"""The npm package of the browser library, installed in a folder that knows nothing of this
project."""

import json
import shutil
import subprocess
from pathlib import Path

import jwt
import pytest

from devenv import library_package

_PROJECT = Path(__file__).parents[2]
_PAGES = _PROJECT / "tests" / "js" / "package"

_OPTIONS = {
    "strict": True,
    "noEmit": True,
    "target": "es2023",
    "module": "nodenext",
    "moduleResolution": "nodenext",
    "lib": ["es2023", "dom", "dom.iterable"],
    "types": [],
    # Also the package's own declarations are checked.
    "skipLibCheck": False,
}


_SECRET = "a secret of thirty-two bytes or more"


def _run(*command: str | Path, cwd: Path) -> str:
    ended = subprocess.run(  # noqa: S603 - our own files
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def _keep_quiet(line: str) -> None:
    """What is being done is of no interest here."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody else's project, with the package installed."""
    folder = tmp_path_factory.mktemp("elsewhere")
    library_package.build(folder / "package", _keep_quiet)
    packed = library_package.pack(folder / "package", folder, _keep_quiet)
    project = folder / "project"
    project.mkdir()
    (project / "package.json").write_text(json.dumps({"private": True, "type": "module"}))
    # Offline: it needs nothing else.
    _run(
        *("npm", "install", "--offline", "--no-audit", "--no-fund", "--ignore-scripts", packed),
        cwd=project,
    )
    return project


def test_its_types_fit_a_page_and_find_what_is_wrong(project: Path) -> None:
    shutil.copy(_PAGES / "page.ts", project)
    settings = {"compilerOptions": _OPTIONS, "files": ["page.ts"]}
    (project / "tsconfig.json").write_text(json.dumps(settings))

    _run(_PROJECT / "node_modules/.bin/tsc", "--project", "tsconfig.json", cwd=project)


def test_it_works_with_nothing_of_this_project_beside_it(project: Path) -> None:
    shutil.copy(_PAGES / "page.js", project)

    said = json.loads(_run("node", "page.js", cwd=project))

    assert said == {"seq": 1, "token": "Bearer a.b.c", "body": {"text": "hello"}}


def test_it_has_what_belongs_to_a_package(project: Path) -> None:
    installed = project / "node_modules" / "interact-gateway"

    names = {path.name for path in installed.iterdir()}

    assert names == {"package.json", "index.js", "types", "README.md", "LICENSE", "LICENSE-stompjs"}
    assert "import " not in {line[:7] for line in (installed / "index.js").read_text().splitlines()}


def test_the_token_endpoint_of_the_documentation_makes_tokens(tmp_path: Path) -> None:
    text = (_PROJECT / "docs" / "how-to" / "library.md").read_text()
    code = text.split("```js token.mjs\n")[1].split("```")[0]
    (tmp_path / "token.mjs").write_text(code)
    ask = shutil.copy(_PAGES / "ask-for-token.js", tmp_path / "ask.mjs")

    said = json.loads(_run("node", ask, _SECRET, cwd=tmp_path))

    claims = jwt.decode(
        said["token"],
        _SECRET,
        algorithms=["HS256"],
        issuer="https://app.example",
        audience="interact",
    )
    assert (claims["sub"], claims["roles"], claims["exp"] - claims["iat"]) == ("mia", ["host"], 600)
    assert said["statuses"] == [200, 401]
