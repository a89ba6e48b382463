"""The documents name only files and folders that exist, and ARCHITECTURE.md has all folders."""

import re
from pathlib import Path

import pytest

_PROJECT = Path(__file__).parents[2]
_TOP = ("broker", "conf", "docs", "gateway", "scripts", "static", "tests", ".ci")
#: Made at set-up or while running, and not committed.
_MADE = (".run", "static/built", "static/vendor")
_FILES = [
    path
    for path in (
        *_PROJECT.glob("*"),
        *(path for top in _TOP for path in (_PROJECT / top).rglob("*")),
    )
    if path.is_file() and path.suffix != ".pyc" and not path.name.startswith(".coverage")
]
_DOCUMENTS = sorted(
    str(path.relative_to(_PROJECT))
    for path in _FILES
    if path.suffix == ".md"
    and path.name != "CHANGELOG.md"
    and not str(path.relative_to(_PROJECT)).startswith(_MADE)
)
#: A path from the project's folder, or the address at which a file of static/ is served.
_PATH = re.compile(rf"(?<![\w./-])(?:/(?=static/))?((?:{'|'.join(map(re.escape, _TOP))})/[\w./-]*)")
#: A file's name, or the end of its path.
_NAME = re.compile(r"`([\w./-]*\w\.(?:py|js|css|md|toml|conf|config|cfg))`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


#: A fenced block: what stands behind its three backticks, and its lines.
_BLOCK = re.compile(r"^ *```([^\n]*)\n(.*?)^ *```$", re.M | re.S)
#: What begins a line that somebody types into a shell.
_COMMAND = re.compile(
    r"^ *(?:\$ |(?:scripts|\S*bin)/\S+|gateway |curl |pip |python3 |pg_dump |createdb |systemctl )",
    re.M,
)


def _paths_in(text: str) -> set[str]:
    return {path.rstrip("/.") for path in _PATH.findall(text)}


def _names_in(text: str) -> set[str]:
    return {name.removeprefix("/") for name in _NAME.findall(text)}


def _links_in(text: str) -> set[str]:
    """The files that are linked to, as seen from the document's folder."""
    targets = {link.partition("#")[0] for link in _LINK.findall(text) if "://" not in link}
    return targets - {""}


def _folders() -> set[str]:
    """All folders with files of ours; those of tests/ below the first level mirror the others."""
    folders = {str(path.parent.relative_to(_PROJECT)) for path in _FILES if path.parent != _PROJECT}
    return {
        folder
        for folder in folders
        if not folder.startswith(_MADE)
        and not (folder.startswith("tests/") and folder.count("/") > 1)
    }


@pytest.mark.parametrize("document", _DOCUMENTS)
def test_every_path_that_a_document_names_exists(document: str) -> None:
    text = (_PROJECT / document).read_text(encoding="utf-8")
    named = {path for path in _paths_in(text) if not path.startswith(_MADE)}
    assert not {path for path in named if not (_PROJECT / path).exists()}
    files = [f"/{path.relative_to(_PROJECT)}" for path in _FILES]
    assert not {
        name for name in _names_in(text) if not any(file.endswith(f"/{name}") for file in files)
    }
    folder = (_PROJECT / document).parent
    assert not {link for link in _links_in(text) if not (folder / link).exists()}


def test_paths_and_links_are_found() -> None:
    text = (
        'See `gateway/none.py`, gateway/live/, "/static/none.js" and [there](static/none.md#part);'
        " not /broker/auth/user, https://docs.example/a or [this](#part)."
    )
    assert _paths_in(text) == {
        "gateway/none.py",
        "gateway/live",
        "static/none.js",
        "static/none.md",
    }
    assert _names_in(text) == {"gateway/none.py"}
    assert _names_in("`none.js` and `room/none.md`, not `a.b()`") == {"none.js", "room/none.md"}
    assert _links_in(text) == {"static/none.md"}


def test_architecture_has_a_row_for_each_folder() -> None:
    text = (_PROJECT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = "\n".join(line for line in text.splitlines() if line.startswith("| `"))
    folders = _folders()
    assert len(folders) > 30
    assert not {folder for folder in folders if f"`{folder}/`" not in rows}


@pytest.mark.parametrize(
    "document", [each for each in _DOCUMENTS if each.startswith(("docs/", "R"))]
)
def test_each_block_of_commands_says_what_runs_it(document: str) -> None:
    """Behind its backticks: `sh run` (by `tests/integration/process`), `sh tested PATH` (by that
    test), or `sh untested WHY`."""
    for mark, commands in _BLOCK.findall((_PROJECT / document).read_text(encoding="utf-8")):
        kind, _, rest = mark.removeprefix("sh").strip().partition(" ")
        if not mark.startswith("sh"):
            assert mark or not _COMMAND.search(commands), commands
        elif kind == "tested":
            assert (_PROJECT / rest).exists(), rest
        else:
            assert kind == "run" or (kind == "untested" and rest), mark


def test_the_way_in_leads_to_every_page() -> None:
    way_in = _PROJECT / "docs" / "README.md"
    linked = {
        (way_in.parent / link).resolve() for link in _links_in(way_in.read_text(encoding="utf-8"))
    }
    pages = {page for page in (_PROJECT / "docs").rglob("*.md") if page != way_in}
    assert {str(page.relative_to(_PROJECT)) for page in pages - linked} == set()
