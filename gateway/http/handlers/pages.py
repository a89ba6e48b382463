"""The pages, and their files from the folder ``static``."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar, Final

from tornado.web import StaticFileHandler

from gateway.auth.origins import Origins
from gateway.errors import UnknownPath
from gateway.health.readiness import Readiness
from gateway.http.base import BodilessHandler
from gateway.http.built_pages import BuiltFile, BuiltPages
from gateway.http.contract.operation import Answer, Operation, Who
from gateway.http.handlers.health import IS_READY, answer_options
from gateway.http.sharing import share

#: A year is as long as caches keep anything.
_KEEP: Final = "public, max-age=31536000, immutable"
_HOST: Final = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")


_FILES: Final = Operation(
    "Get a file of the pages, or of the library",
    who=Who.ANYBODY,
    answers={
        200: Answer("The file.", media_type="*/*", headers=("ETag",)),
        206: Answer("A part of it.", media_type="*/*"),
        304: Answer("The browser has it."),
        416: Answer("It has no such part."),
    },
)
_SHOWS: Final = Operation(
    "Show a page",
    who=Who.ANYBODY,
    answers={
        200: Answer("The page.", media_type="text/html", headers=("ETag",)),
        304: Answer("The browser has it."),
    },
)


class _OfPages(BodilessHandler):
    """The base of what browsers show. Pages load nothing from elsewhere and talk only to the
    gateway."""

    # One page, read as its sources, consists of a hundred files.
    log_level = logging.DEBUG

    #: Whether pages of the configured origins may show it in a frame. Where an admin acts, a page
    #: around it could have them click what they do not see.
    in_frames: ClassVar[bool] = False

    def set_default_headers(self) -> None:
        super().set_default_headers()
        # CSP's 'self' does not cover ws:// in every browser (w3c/webappsec-csp issue 7).
        host = self.request.headers.get("Host", "")
        around = self.settings["frame_ancestors"] if self.in_frames else "'none'"
        sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
        self.set_header(
            "Content-Security-Policy",
            # Built style sheets have their icons in them.
            f"default-src 'self'; img-src 'self' data:; connect-src 'self'{sockets}; "
            f"base-uri 'none'; form-action 'self'; frame-ancestors {around}; object-src 'none'",
        )


class _InMemory(_OfPages):
    """The base of what is answered from memory."""

    _tag: str | None = None

    def give(self, file: BuiltFile, *, keep: str) -> None:
        """Answer with the file; ``keep``: how browsers may cache it."""
        coding, content, self._tag = file.for_client(self.request.headers.get("Accept-Encoding"))
        self.set_header("Content-Type", file.media_type)
        self.set_header("Cache-Control", keep)
        self.set_header("Vary", "Accept-Encoding")
        if coding is not None:
            self.set_header("Content-Encoding", coding)
        self.finish(content)

    def compute_etag(self) -> str | None:
        """The one of what is given: Tornado compares it, and answers 304."""
        return self._tag


class BuiltHandler(_InMemory):
    """A built file, from memory. Its name changes with its content, so browsers keep it."""

    def initialize(self, *, built: BuiltPages) -> None:
        self._built = built

    def get(self, name: str) -> None:
        if (file := self._built.files.get(name)) is not None:
            self.give(file, keep=_KEEP)
        elif (file := self._built.other_version(name)) is not None:
            self.give(file, keep="no-store")
        else:
            raise UnknownPath(f"no resource has the path {self.request.path[:200]}")

    head = get


class PageHandler(_InMemory):
    """A page, at whatever address it has. It names its files, so a new version is seen at once.

    ``page`` gives it as it is now. Behind a class code's address, nobody learns here whether there
    is such a code: the page's script reads it.
    """

    def initialize(self, *, page: Callable[[], BuiltFile]) -> None:
        self._page = page

    @_SHOWS
    def get(self, code: str = "") -> None:
        self.give(self._page(), keep="no-cache")

    head = get


class RoomPageHandler(PageHandler):
    """The page of rooms."""

    in_frames = True


class RootHandler(RoomPageHandler):
    """The page of rooms at the host's root, where HAProxy asks by OPTIONS whether a server is ready
    unless it is told otherwise."""

    def initialize(self, *, page: Callable[[], BuiltFile], readiness: Readiness) -> None:  # type: ignore[override]
        super().initialize(page=page)
        self._readiness = readiness

    @IS_READY
    async def options(self) -> None:
        await answer_options(self, self._readiness)


class SourceHandler(_OfPages, StaticFileHandler):
    """The files of the pages as they are, and of the library.

    ``origins``: the origins whose pages may import these files, as they do with the library, which
    browsers fetch by CORS (HTML standard, "fetch a single module script"). None: no origin.
    """

    def initialize(self, *, origins: Origins | None = None, **files: Any) -> None:  # type: ignore[override]
        super().initialize(**files)
        self._origins = origins

    def prepare(self) -> Awaitable[None] | None:
        super().prepare()
        self._share()
        return None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self._share()
        super().write_error(status_code, **kwargs)

    @_FILES
    async def get(self, path: str, include_body: bool = True) -> None:
        await super().get(path, include_body)

    @_FILES
    async def head(self, path: str) -> None:
        await super().head(path)

    @classmethod
    def get_content(  # type: ignore[override]  # Tornado's text allows bytes
        cls, abspath: str, start: int | None = None, end: int | None = None
    ) -> bytes:
        """The whole part at once: Tornado would keep the file open, with a descriptor of its own,
        until the client has taken it."""
        begin = start or 0
        with Path(abspath).open("rb") as file:
            file.seek(begin)
            return file.read(-1 if end is None else end - begin)

    def set_extra_headers(self, path: str) -> None:
        # Revalidated every time and answered by 304, so that a new version is seen at once.
        self.set_header("Cache-Control", "no-cache")

    def _share(self) -> None:
        if self._origins is not None:
            share(self, self._origins)
