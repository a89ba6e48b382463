"""``/metrics`` as it is documented, and the Grafana dashboard over it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from broker.timing.tasks import Tasks
from gateway.assembly import Gateway
from gateway.observe.events import Kind
from tests.integration.http.conftest import Call

_PROJECT: Final = Path(__file__).parents[3]
_CONF: Final = _PROJECT / "conf"
_PAGE: Final = _PROJECT / "docs" / "reference" / "metrics.md"
_METRIC: Final = re.compile(r"\b(?:gateway|process)_\w+")
_ROW: Final = re.compile(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|", re.M)


def documented() -> dict[str, tuple[str, set[str]]]:
    """Type and labels of each metric, by its name in the table."""
    rows = _ROW.findall(_PAGE.read_text())
    return {name: (type, set(re.findall(r"`(\w+)`", labels))) for name, type, labels in rows}


async def exposed(call: Call) -> dict[str, tuple[str, set[str]]]:
    """The same, as the gateway tells it."""
    text = (await call("GET", "/metrics")).body.decode()
    found: dict[str, tuple[str, set[str]]] = {}
    for family in text_string_to_metric_families(text):
        name = family.name + "_total" * (family.type == "counter")
        labels = {label for sample in family.samples for label in sample.labels}
        found[name] = (family.type, labels - {"le"})
    return found


@pytest.mark.gen_test
async def test_every_metric_is_documented_and_every_documented_one_is_there(
    call: Call,
    call_internal: Call,
    gateway: Gateway,
    room: str,
    tasks: Tasks,
    failures: list[str],
) -> None:
    await call("POST", f"{room}/messages", user="bob", json={"body": 1})
    await call("GET", "/api/rooms")
    await call("GET", "/readyz")
    # What has no series until it happens.
    gateway.services.events.note(Kind.CLOSE, "left", "", status=1000)
    for kind in (Kind.FAILOVER, Kind.NODE, Kind.ACTION):
        gateway.services.events.note(kind, "code", "")
    tasks.failures.note("a loop", KeyError())
    failures.clear()
    told, written = await exposed(call_internal), documented()
    # Known once a probe has got through.
    told["gateway_node_probe_seconds"] = ("gauge", {"node"})
    assert told == written


def test_the_grafana_dashboard_asks_for_documented_metrics_and_labels_only() -> None:
    dashboard = json.loads((_CONF / "grafana" / "gateway.json").read_text())
    # What every target has that Prometheus scrapes, and what a histogram's buckets have.
    of_prometheus = {"job", "instance", "le"}
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"]
            (name,) = set(_METRIC.findall(expression))
            base = re.sub("_(bucket|sum|count)$", "", name)
            type, labels = documented()[base]
            assert (type == "histogram") == (base != name), name
            grouped = {
                label
                for by in re.findall(r" by \(([^)]*)\)", expression)
                for label in by.split(", ")
            }
            shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert grouped <= labels | of_prometheus, panel["title"]
            assert shown <= grouped, panel["title"]


def test_the_alerts_ask_for_documented_metrics_and_labels_only() -> None:
    rules = (_CONF / "prometheus" / "rules.yml").read_text()
    expressions = re.findall(r"expr: '(.*)'$", rules, re.M)
    assert len(expressions) == rules.count("- alert:") == rules.count("todo: ")
    for expression in expressions:
        if expression.startswith("up{"):
            continue
        for name, matchers in re.findall(r"(gateway_\w+)\{([^}]*)\}", expression):
            type, labels = documented()[re.sub("_(bucket|sum|count)$", "", name)]
            assert set(re.findall(r"(\w+)=", matchers)) <= labels | {"job"}, expression
            assert ("rate(" in expression or "increase(" in expression) == (type != "gauge")


def test_the_alerts_fire_when_they_should(tmp_path: Path) -> None:
    shutil.copy(_CONF / "prometheus" / "rules.yml", tmp_path)
    shutil.copy(Path(__file__).with_name("alerts.yml"), tmp_path)
    for command in (["check", "rules", "rules.yml"], ["test", "rules", "alerts.yml"]):
        ended = subprocess.run(  # noqa: S603 - the distribution's tool
            ["promtool", *command],  # noqa: S607
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.gen_test
async def test_a_refused_request_is_counted_and_noted_with_its_reason(
    call: Call, call_internal: Call, gateway: Gateway, room: str
) -> None:
    await call("POST", f"{room}/messages", user="eve", json={"body": 1})
    await call("GET", "/api/rooms", headers={"X-Forwarded-For": "203.0.113.7"})
    await call("GET", "/nowhere")
    refused, unknown = gateway.services.events.after(0, limit=9)
    assert (refused.kind, refused.code, refused.status) == (Kind.REFUSAL, "access_refused", 403)
    assert refused.user == "eve"
    assert "you are not a member of room" in refused.detail
    assert (unknown.code, unknown.status, unknown.user) == ("not_authenticated", 401, None)
    assert unknown.address == "203.0.113.7"
    metrics = (await call_internal("GET", "/metrics")).body.decode()
    assert 'gateway_refusals_total{code="access_refused",status="403"} 1.0' in metrics
