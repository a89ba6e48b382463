"""The documents name only files and folders that exist, and ARCHITECTURE.md has all folders."""

import re
from pathlib import Path

import pytest

_PROJECT = Path(__file__).parents[2]
_TOP = ("broker", "conf", "docs", "gateway", "scripts", "static", "tests", ".ci")
#: Made at set-up or while running, and not committed.
_MADE = (".run", "static/vendor")
_DOCUMENTS = sorted(
    str(path.relative_to(_PROJECT))
    for path in (
        *_PROJECT.glob("*.md"),
        *(path for top in _TOP for path in (_PROJECT / top).rglob("*.md")),
    )
    if path.name != "CHANGELOG.md" and not str(path.relative_to(_PROJECT)).startswith(_MADE)
)
#: A path from the project's folder, or the address at which a file of static/ is served.
_PATH = re.compile(rf"(?<![\w./-])(?:/(?=static/))?((?:{'|'.join(map(re.escape, _TOP))})/[\w./-]*)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def _paths_in(text: str) -> set[str]:
    return {path.rstrip("/.") for path in _PATH.findall(text)}


def _links_in(text: str) -> set[str]:
    """The files that are linked to, as seen from the document's folder."""
    targets = {link.partition("#")[0] for link in _LINK.findall(text) if "://" not in link}
    return targets - {""}


def _folders() -> set[str]:
    """All folders with files of ours; those of tests/ below the first level mirror the others."""
    files = (path for top in _TOP for path in (_PROJECT / top).rglob("*") if path.is_file())
    folders = {
        str(path.parent.relative_to(_PROJECT))
        for path in files
        if path.suffix != ".pyc" and not path.name.startswith(".coverage")
    }
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
    assert _links_in(text) == {"static/none.md"}


def test_architecture_has_a_row_for_each_folder() -> None:
    text = (_PROJECT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = "\n".join(line for line in text.splitlines() if line.startswith("| `"))
    folders = _folders()
    assert len(folders) > 30
    assert not {folder for folder in folders if f"`{folder}/`" not in rows}
