"""The pages and their scripts, from the folder ``static``."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Final

from tornado.web import StaticFileHandler

from gateway.auth.origins import Origins
from gateway.http.base import BodilessHandler
from gateway.http.sharing import share

_HOST: Final = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")


class PageHandler(BodilessHandler, StaticFileHandler):
    """The files of the pages. Pages load nothing from elsewhere and talk only to the gateway.

    ``origins``: the origins whose pages may import these files, as they do with the library, which
    browsers fetch by CORS (HTML standard, "fetch a single module script"). None: no origin.
    """

    # One page consists of three dozen modules.
    log_level = logging.DEBUG

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

    def set_default_headers(self) -> None:
        super().set_default_headers()
        # CSP's 'self' does not cover ws:// in every browser (w3c/webappsec-csp issue 7).
        host = self.request.headers.get("Host", "")
        sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
        self.set_header(
            "Content-Security-Policy",
            f"default-src 'self'; connect-src 'self'{sockets}; base-uri 'none'; "
            "form-action 'self'; frame-ancestors 'none'; object-src 'none'",
        )

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


class ClassCodeHandler(PageHandler):
    """The page of rooms at the address of a class code, which its script reads. Whether there is
    such a code, nobody learns here."""

    def parse_url_path(self, url_path: str) -> str:
        return "index.html"
