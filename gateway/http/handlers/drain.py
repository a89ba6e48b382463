"""``/drain`` on the internal listener: lets the gateway leave, and shows the progress."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from gateway.drain import Drain
from gateway.errors import OriginRefused
from gateway.http.base import BodilessHandler
from gateway.http.contract.operation import Answer, Operation, Who
from gateway.http.internal_access import InternalAccess

#: The work that is left, by its kind.
Progress = Callable[[], Mapping[str, int]]


_PROGRESS: Final = Answer(
    "`state` (serving, leaving, draining), and what is left.", dict[str, str | int]
)


class DrainHandler(BodilessHandler):
    """GET shows the progress; POST gives notice, any number of times, and answers 202. The process
    ends when nothing is left. Both need the token for draining."""

    log_level = logging.DEBUG

    def initialize(self, drain: Drain, progress: Progress, access: InternalAccess) -> None:
        self._drain = drain
        self._progress = progress
        self._access = access

    def prepare(self) -> Awaitable[None] | None:
        waiting = super().prepare()
        self._access.check_drain_token(self.request)
        return waiting

    @Operation(
        "See how far the gateway is with leaving", who=Who.OPERATOR, answers={200: _PROGRESS}
    )
    def get(self) -> None:
        self._show(status=200)

    @Operation(
        "Let the gateway leave; the process ends when nothing is left",
        who=Who.OPERATOR,
        answers={202: _PROGRESS},
    )
    def post(self) -> None:
        # A page in a browser on the gateway's own machine could send this (RFC 6454).
        if "Origin" in self.request.headers:
            raise OriginRefused("a web page must not drain the gateway")
        self._drain.announce("POST /drain")
        self._show(status=202)

    def _show(self, *, status: int) -> None:
        self.set_header("Cache-Control", "no-store")
        if self._drain.begun:
            state = "draining"
        else:
            state = "leaving" if self._drain.announced else "serving"
        self.write_json({"state": state, **self._progress()}, status=status)
