"""Probes for load balancers and people: ``/healthz``, ``/readyz``, ``/metrics``."""

from __future__ import annotations

import logging
from typing import Final, NotRequired

from typing_extensions import TypedDict

from gateway.errors import UnknownPath
from gateway.health.readiness import Readiness
from gateway.http.base import BodilessHandler
from gateway.http.contract.operation import Answer, Operation, Who
from gateway.http.contract.shapes import Moment
from gateway.observe.metrics import CONTENT_TYPE, Metrics


class HealthHandler(BodilessHandler):
    """Liveness: 200 while the process serves; it depends on nothing else."""

    log_level = logging.DEBUG

    @Operation(
        "Ask whether the process is up",
        who=Who.ANYBODY,
        answers={200: Answer("`ok`.", media_type="text/plain")},
    )
    def get(self) -> None:
        self.set_header("Content-Type", "text/plain")
        self.set_header("Cache-Control", "no-store")
        self.write("ok")

    head = get


class ShownState(TypedDict):
    """A part on which the gateway depends. ``follows``: for users, if it does not work; ``needed``:
    whether the gateway is not ready then."""

    part: str
    works: bool
    since: Moment
    reason: NotRequired[str]
    follows: NotRequired[str]
    needed: NotRequired[bool]


class ShownReadiness(TypedDict):
    """The readiness, with the reason of each part that does not work."""

    ready: bool
    problems: dict[str, str]
    states: list[ShownState]


class ReadyHandler(BodilessHandler):
    """Readiness: 200 or 503, with one word; ``in_detail`` with JSON that names what fails."""

    log_level = logging.DEBUG

    def initialize(self, readiness: Readiness, in_detail: bool) -> None:
        self._readiness = readiness
        self._in_detail = in_detail

    @Operation(
        "Ask whether a message would be stored",
        who=Who.ANYBODY,
        answers={
            200: Answer("It would (`ready`).", media_type="text/plain", inside=ShownReadiness),
            503: Answer(
                "It would not (`unavailable`).", media_type="text/plain", inside=ShownReadiness
            ),
        },
    )
    async def get(self) -> None:
        report = await self._readiness.report()
        self.set_header("Cache-Control", "no-store")
        if self._in_detail:
            self.write_json(report.as_json(), status=200 if report.ready else 503)
            return
        self.set_header("Content-Type", "text/plain")
        self.set_status(200 if report.ready else 503)
        self.write("ready" if report.ready else "unavailable")

    head = get


IS_READY: Final = Operation(
    "Ask whether the gateway is ready, as HAProxy does",
    who=Who.ANYBODY,
    answers={204: Answer("It is.", headers=("Allow",)), 503: Answer("It is not.")},
)


async def answer_options(handler: BodilessHandler, readiness: Readiness) -> None:
    """Answer an OPTIONS request as a probe of readiness: 204 or 503."""
    report = await readiness.report()
    handler.set_header("Cache-Control", "no-store")
    handler.set_header("Allow", ", ".join(handler.served_methods()))
    handler.set_status(204 if report.ready else 503)


class AskedHandler(BodilessHandler):
    """The host's root where there is no page: only OPTIONS is answered, as a probe."""

    log_level = logging.DEBUG

    def initialize(self, readiness: Readiness) -> None:
        self._readiness = readiness

    @IS_READY
    async def options(self) -> None:
        await answer_options(self, self._readiness)

    @Operation("Find nothing: the gateway is below a path", who=Who.ANYBODY, answers={})
    def get(self) -> None:
        raise UnknownPath("the gateway is below server.path")

    head = get


class MetricsHandler(BodilessHandler):
    """The metrics in Prometheus' text format."""

    log_level = logging.DEBUG

    def initialize(self, metrics: Metrics) -> None:
        self._metrics = metrics

    @Operation(
        "Read the metrics",
        who=Who.ANYBODY,
        answers={200: Answer("Prometheus' text format.", media_type=CONTENT_TYPE)},
    )
    def get(self) -> None:
        self.set_header("Content-Type", CONTENT_TYPE)
        self.write(self._metrics.exposition())
