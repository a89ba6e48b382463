"""Probes for load balancers and people: ``/healthz``, ``/readyz``, ``/metrics``."""

from __future__ import annotations

import logging

from gateway.errors import UnknownPath
from gateway.health.readiness import Readiness
from gateway.http.base import BodilessHandler
from gateway.observe.metrics import CONTENT_TYPE, Metrics


class HealthHandler(BodilessHandler):
    """Liveness: 200 while the process serves; it depends on nothing else."""

    log_level = logging.DEBUG

    def get(self) -> None:
        self.set_header("Content-Type", "text/plain")
        self.set_header("Cache-Control", "no-store")
        self.write("ok")

    head = get


class ReadyHandler(BodilessHandler):
    """Readiness: 200 or 503, with one word; ``in_detail`` with JSON that names what fails."""

    log_level = logging.DEBUG

    def initialize(self, readiness: Readiness, in_detail: bool) -> None:
        self._readiness = readiness
        self._in_detail = in_detail

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

    async def options(self) -> None:
        await answer_options(self, self._readiness)

    def get(self) -> None:
        raise UnknownPath("the gateway is below server.path")

    head = get


class MetricsHandler(BodilessHandler):
    """The metrics in Prometheus' text format."""

    log_level = logging.DEBUG

    def initialize(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def get(self) -> None:
        self.set_header("Content-Type", CONTENT_TYPE)
        self.write(self._metrics.exposition())
