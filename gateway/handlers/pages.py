"""The pages and their scripts, from the folder ``static``."""

from __future__ import annotations

import logging
import re
from typing import Final

from tornado.web import StaticFileHandler

from gateway.handlers.base import BaseHandler

_HOST: Final = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")


class PageHandler(BaseHandler, StaticFileHandler):
    """Pages load nothing from elsewhere and talk to nobody but the gateway."""

    # One page is three dozen modules.
    log_level = logging.DEBUG

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

    def set_extra_headers(self, path: str) -> None:
        # Asked for every time, answered by 304: a new version is seen at once.
        self.set_header("Cache-Control", "no-cache")
