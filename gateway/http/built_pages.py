"""The built pages: a page's scripts and style sheets as one file each, named by its content and
compressed ahead of time. All of it is kept in memory, and no request reads a file.

``scripts/devenv/page_build.mjs`` writes them.
"""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from gateway.http.content_coding import choose

log = logging.getLogger(__name__)

#: The bytes that are kept in memory at most.
MOST: Final = 16 * 1024 * 1024
#: By the ending of a file's name.
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
#: The content codings, best first, and the endings of the files that have them.
_CODINGS: Final = {"br": ".br", "gzip": ".gz"}


class NotBuilt(Exception):
    """There are no built pages, or not all of their files; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class BuiltFile:
    """A file and its compressed forms. ``tag`` changes with its content."""

    media_type: str
    whole: bytes
    coded: Mapping[str, bytes]
    tag: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tag", sha256(self.whole).hexdigest()[:32])

    @property
    def size(self) -> int:
        return len(self.whole) + sum(map(len, self.coded.values()))

    def for_client(self, accepted: str | None) -> tuple[str | None, bytes, str]:
        """The content coding, the bytes and the ETag for a request with this
        ``Accept-Encoding``."""
        coding = choose(accepted, tuple(self.coded))
        if coding is None:
            return None, self.whole, f'"{self.tag}"'
        return coding, self.coded[coding], f'"{self.tag}-{coding}"'


@dataclass(frozen=True, slots=True)
class BuiltPages:
    """All pages by name (``room``, ``admin``), and their files by name."""

    pages: Mapping[str, BuiltFile]
    files: Mapping[str, BuiltFile]

    def other_version(self, name: str) -> BuiltFile | None:
        """The file that stands here in the place of another version's: while gateways are replaced,
        a page may come from one and its files be asked of another."""
        stem, _, rest = name.rpartition("-")
        ending = Path(rest).suffix
        alike = (
            file
            for each, file in self.files.items()
            if each.rpartition("-")[0] == stem and each.endswith(ending)
        )
        return next(alike, None) if stem and ending else None


def load(folder: Path, base: str = "") -> BuiltPages:
    """Read the built pages, for a gateway below ``base``. Raises :class:`NotBuilt`."""
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        pages = {name: _file(folder / path) for name, path in manifest["pages"].items()}
        files = {name: _file(folder / name) for name in manifest["files"]}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise NotBuilt(f"{folder}: {error}") from error
    pages = {name: below(base, page) for name, page in pages.items()}
    size = sum(file.size for file in (*pages.values(), *files.values()))
    if size > MOST:
        raise NotBuilt(f"{folder}: its files have {size} bytes, more than {MOST}")
    return BuiltPages(pages, files)


def load_if_there(folder: Path, base: str = "") -> BuiltPages | None:
    """Read the built pages. None: the pages are served as their sources, in a hundred requests."""
    try:
        return load(folder, base)
    except NotBuilt as error:
        log.warning(
            "the pages are not built (%s), so each costs a browser about a hundred requests; build"
            " them with scripts/run or PYTHONPATH=scripts python -m devenv.vendor, or set"
            " server.pages to sources",
            error,
        )
        return None


def source_page(path: Path, base: str) -> BuiltFile:
    """A page as its source, for a gateway below ``base``."""
    return below(base, BuiltFile(_TYPES[path.suffix], path.read_bytes(), {}))


def below(base: str, page: BuiltFile) -> BuiltFile:
    """The page as it must be below ``base``: the addresses of its files begin with it. Everything
    else that a page names is found by its scripts, which know where they came from."""
    if not base:
        return page
    whole = page.whole.replace(b'"/static/', f'"{base}/static/'.encode())
    coded = {"gzip": gzip.compress(whole, mtime=0)} if page.coded else {}
    return BuiltFile(page.media_type, whole, coded)


def _file(path: Path) -> BuiltFile:
    whole = path.read_bytes()
    coded = {
        coding: path.with_name(path.name + ending).read_bytes()
        for coding, ending in _CODINGS.items()
    }
    # What does not get smaller is sent as it is.
    smaller = {coding: data for coding, data in coded.items() if len(data) < len(whole)}
    return BuiltFile(_TYPES[path.suffix], whole, smaller)
