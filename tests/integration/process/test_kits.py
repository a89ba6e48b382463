"""The kits of conf/ for containers and Kubernetes: each is valid, and fits the gateway."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose

from gateway import config
from gateway.config import Config
from tests.acceptance.broker_view import wait_for
from tests.integration.process.conftest import DRAIN_TOKEN
from tests.integration.process.test_leaving import drain
from tests.integration.process.test_serving import serving

CONF = Path(__file__).parents[3] / "conf"
COMPOSE = CONF / "container" / "compose.yaml"
SECRETS = {
    "auth-secret": "the gateways' secret, long enough for anything",
    "broker-password": "hunter2",
    "drain-token": DRAIN_TOKEN,
    "database-url": "postgresql://interact:hunter2@database/interact",
}


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    for name, value in SECRETS.items():
        (tmp_path / name).write_text(value)
    return tmp_path


def configured(
    file: Path, variables: dict[str, str], secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> Config:
    """The configuration that a container has; its secrets are in the folder."""
    for name, value in variables.items():
        monkeypatch.setenv(name, str(secrets / Path(value).name))
    return config.load(file)


def test_the_linter_finds_nothing_in_the_containerfile() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    result = subprocess.run(  # noqa: S603 - our own arguments
        [linter, CONF / "container" / "Containerfile"], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return found


def test_the_compose_file_is_one() -> None:
    parsed = PyCompose.from_json(json.dumps(compose()))
    assert parsed.get_service("gateway-1") is not None
    with pytest.raises(ValueError, match="portz"):
        PyCompose.from_json(json.dumps({"services": {"a": {"portz": []}}}))


def test_the_gateways_of_compose_have_a_right_configuration(
    secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = compose()["services"]
    gateway = services["gateway-1"]
    found = configured(
        CONF / "container" / "gateway.toml", gateway["environment"], secrets, monkeypatch
    )
    assert [urlhost(node.amqp) for node in found.broker.nodes] == [
        name for name in services if name.startswith("rabbit-")
    ]
    server = found.server
    grace = int(gateway["stop_grace_period"].removesuffix("s"))
    assert grace > server.notice_time + server.drain_time + server.stop_timeout
    for name in ("gateway-1", "gateway-2"):
        assert services[name]["hostname"] == name
        assert name in server.internal_hosts
        (port,) = services[name]["ports"]
        assert port.endswith(f":{server.port}")
    for entry in compose()["secrets"].values():
        assert Path(entry["file"]).parent == Path("secrets")
    for entry in compose()["configs"].values():
        assert (COMPOSE.parent / entry["file"]).is_file()


def urlhost(url: str) -> str:
    return url.partition("//")[2].partition(":")[0]


def test_rabbitmq_in_compose_differs_in_keys_that_its_configuration_has() -> None:
    def keys(file: Path) -> set[str]:
        return set(re.findall(r"^([a-z0-9_.]+) *=", file.read_text(), re.MULTILINE))

    changed = keys(CONF / "container" / "rabbitmq.conf")
    assert changed
    assert changed <= keys(CONF / "rabbitmq" / "rabbitmq.conf")


def manifests() -> list[dict[str, Any]]:
    text = (CONF / "kubernetes" / "interact-gateway.yaml").read_text()
    return list(yaml.safe_load_all(text))


def manifest(kind: str, name: str = "gateway") -> dict[str, Any]:
    (found,) = [
        each for each in manifests() if each["kind"] == kind and each["metadata"]["name"] == name
    ]
    return found


@pytest.mark.parametrize("version", ["1.27", "1.33"])
def test_the_manifests_are_what_kubernetes_takes(version: str) -> None:
    assert {each["kind"] for each in manifests()} >= {
        *("ConfigMap", "Deployment", "Job", "NetworkPolicy"),
        *("PodDisruptionBudget", "Secret", "Service"),
    }
    for each in manifests():
        kubernetes_validate.validate(each, version, strict=True)
    wrong = manifest("Deployment") | {"spec": {"replicas": "two"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, version, strict=True)


def test_each_port_of_a_pod_is_open_to_its_own_namespaces_alone() -> None:
    """Whoever reaches the public one from a trusted network is believed any client's address."""
    spec = manifest("NetworkPolicy")["spec"]
    deployed = manifest("Deployment")
    labels = spec["podSelector"]["matchLabels"]
    assert labels == deployed["spec"]["template"]["metadata"]["labels"]
    assert spec["policyTypes"] == ["Ingress"]
    opened = [(port["port"], rule["from"]) for rule in spec["ingress"] for port in rule["ports"]]
    assert sorted(port for port, _ in opened) == ["internal", "public"]
    for _, sources in opened:
        # An empty selector would be every namespace.
        assert [set(each) for each in sources] == [{"namespaceSelector"}]
        assert all(each["namespaceSelector"] for each in sources)


def container(kind: str) -> dict[str, Any]:
    name = "gateway" if kind == "Deployment" else "gateway-migrate-1"
    (found,) = manifest(kind, name)["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_the_image_is_of_this_version() -> None:
    image = f"interact-gateway:{metadata.version('interact-gateway')}"
    assert [container(kind)["image"] for kind in ("Deployment", "Job")] == [image] * 2


def test_the_pods_have_a_right_configuration(
    secrets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(manifest("Secret")["stringData"]) == set(SECRETS)
    file = tmp_path / "gateway.toml"
    file.write_text(manifest("ConfigMap")["data"]["gateway.toml"])
    pod = container("Deployment")
    for key in ("env", "image", "securityContext", "volumeMounts"):
        assert container("Job")[key] == pod[key]
    variables = {each["name"]: each["value"] for each in pod["env"]}
    server = configured(file, variables, secrets, monkeypatch).server
    ports = {each["name"]: each["containerPort"] for each in pod["ports"]}
    assert ports == {"public": server.port, "internal": server.internal_port}
    grace = manifest("Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > server.notice_time + server.drain_time + server.stop_timeout
    # It is found not to be ready within its notice.
    probe = pod["readinessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] < server.notice_time


def test_the_hook_before_the_end_lets_a_gateway_leave(
    environment: dict[str, str], secrets: Path
) -> None:
    environment["GATEWAY_SERVER__NOTICE_TIME"] = "600"
    program, *arguments = container("Deployment")["lifecycle"]["preStop"]["exec"]["command"]
    assert program == "/opt/interact/bin/python"
    with serving(environment) as (_, _, internal):
        command = [
            each.replace("http://127.0.0.1:8081", internal).replace(
                "/run/secrets/interact", str(secrets)
            )
            for each in arguments
        ]
        assert json.dumps(command) != json.dumps(arguments)
        subprocess.run([sys.executable, *command], check=True, timeout=60)  # noqa: S603 - ours
        wait_for(lambda: drain(internal, "GET")[1]["state"] == "leaving")
