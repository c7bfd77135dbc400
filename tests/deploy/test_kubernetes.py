"""The Kubernetes manifests: well formed, pointing at each other, and saying what our settings and commands know."""

import copy
import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from typer.main import get_command

from breeze_buddy.cli.main import app
from breeze_buddy.domain.template import Template
from breeze_buddy.media.metrics import exposition
from breeze_buddy.media.registration import pod_of
from breeze_buddy.settings import PREFIX, Settings
from tests.deploy.kubernetes_facts import KINDS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/kubernetes"
Manifest = dict[str, Any]
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
FILES = [FOLDER / name for name in KUSTOMIZATION["resources"]]
MANIFESTS: list[Manifest] = [one for file in FILES for one in yaml.safe_load_all(file.read_text())]
WORKLOADS = ("Deployment", "StatefulSet", "Job")
SETTINGS = {name.upper() for name in Settings.model_fields}


def of(kind: str, manifests: list[Manifest] = MANIFESTS) -> dict[str, Manifest]:
    return {one["metadata"]["name"]: one for one in manifests if one["kind"] == kind}


def pods_with(labels: dict[str, str], manifests: list[Manifest]) -> list[Manifest]:
    """The pod templates that a selector finds; a StatefulSet labels each of its pods with its name too."""
    found = []
    for one in manifests:
        if one["kind"] in WORKLOADS:
            template = one["spec"]["template"]
            own = dict(template["metadata"]["labels"])
            name = labels.get("statefulset.kubernetes.io/pod-name", "")
            if one["kind"] == "StatefulSet" and re.fullmatch(rf"{one['metadata']['name']}-\d+", name):
                own["statefulset.kubernetes.io/pod-name"] = name
            if labels.items() <= own.items():
                found.append(template)
    return found


def check(manifests: list[Manifest]) -> None:
    """Raise AssertionError or ValidationError for what Kubernetes would refuse, or would take and never serve."""
    names = [(one["kind"], one["metadata"]["name"]) for one in manifests]
    assert len(names) == len(set(names)), "two manifests with one name"
    for one in manifests:
        jsonschema.validate(one, KINDS[one["kind"]], cls=jsonschema.Draft202012Validator)
    for one in manifests:
        spec = one.get("spec", {})
        if one["kind"] in ("Deployment", "StatefulSet"):
            labels = spec["template"]["metadata"]["labels"]
            assert spec["selector"]["matchLabels"].items() <= labels.items(), "a workload does not select its own pods"
        if one["kind"] == "StatefulSet":
            assert of("Service", manifests)[spec["serviceName"]]["spec"].get("clusterIP") == "None"
        if one["kind"] == "Service":
            _check_service(one, manifests)
        if one["kind"] == "PodDisruptionBudget":
            assert pods_with(spec["selector"]["matchLabels"], manifests), "a budget of nothing"
        if one["kind"] == "HorizontalPodAutoscaler":
            target = spec["scaleTargetRef"]
            scaled = of(target["kind"], manifests)[target["name"]]
            assert scaled["apiVersion"] == target["apiVersion"]
            assert 2 <= spec["minReplicas"] < spec["maxReplicas"]
        if one["kind"] == "Ingress":
            _check_ingress(one, manifests)
        if one["kind"] in WORKLOADS:
            for container in spec["template"]["spec"]["containers"]:
                _check_container(container, manifests)


def _check_service(service: Manifest, manifests: list[Manifest]) -> None:
    (template,) = pods_with(service["spec"]["selector"], manifests)
    offered = {port["name"] for container in template["spec"]["containers"] for port in container.get("ports", [])}
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= offered, "a service of a port that nobody has"


def _check_ingress(ingress: Manifest, manifests: list[Manifest]) -> None:
    certified = [host for tls in ingress["spec"]["tls"] for host in tls["hosts"]]
    for rule in ingress["spec"]["rules"]:
        host = rule["host"]
        assert host in certified or "*." + host.partition(".")[2] in certified, f"{host} has no certificate"
        for path in rule["http"]["paths"]:
            backend = path["backend"]["service"]
            service = of("Service", manifests)[backend["name"]]
            assert backend["port"]["name"] in {port["name"] for port in service["spec"]["ports"]}


def _check_container(container: Manifest, manifests: list[Manifest]) -> None:
    environment_of(container, manifests)
    ports = {port["name"] for port in container.get("ports", [])}
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        if name in container:
            probe = container[name]
            assert (probe.get("httpGet") or probe["tcpSocket"])["port"] in ports, f"{name} asks a port that nobody has"


def environment_of(container: Manifest, manifests: list[Manifest], pod: str = "breeze-media-0") -> dict[str, str]:
    """What the process is told, as Kubernetes puts it together for a pod of this name."""
    told: dict[str, str] = {}
    for source in container["envFrom"]:
        if "configMapRef" in source:
            told |= of("ConfigMap", manifests)[source["configMapRef"]["name"]]["data"]
        else:
            told |= of("Secret", manifests)[source["secretRef"]["name"]]["stringData"]
    for variable in container.get("env", []):
        value = variable.get("value", pod)
        told[variable["name"]] = re.sub(r"\$\((\w+)\)", lambda found: told[found[1]], value)
    return told


def container_of(kind: str, name: str) -> Manifest:
    (container,) = of(kind)[name]["spec"]["template"]["spec"]["containers"]
    assert isinstance(container, dict)
    return container


CONTAINERS = {
    "api": container_of("Deployment", "breeze-api"),
    "worker": container_of("Deployment", "breeze-worker"),
    "media": container_of("StatefulSet", "breeze-media"),
    "migrate": container_of("Job", "breeze-migrate"),
}
MEDIA_POD = of("StatefulSet")["breeze-media"]["spec"]["template"]["spec"]


def settings_of(name: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for key, value in environment_of(CONTAINERS[name], MANIFESTS).items():
        monkeypatch.setenv(key, value)
    return Settings(_env_file=None)


def test_the_manifests_are_what_kubernetes_takes_and_fit_together() -> None:
    check(MANIFESTS)


def test_every_manifest_of_the_folder_is_applied() -> None:
    assert {file.name for file in FOLDER.glob("*.yaml")} == {file.name for file in FILES} | {"kustomization.yaml"}


def _spoil(kind: str, name: str, *path: str | int, to: Any) -> Callable[[list[Manifest]], None]:
    def spoil(manifests: list[Manifest]) -> None:
        at: Any = of(kind, manifests)[name]
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = to

    return spoil


MISTAKES = {
    "a misspelt field": _spoil("Deployment", "breeze-api", "spec", "replica", to=2),
    "an old version": _spoil("Ingress", "breeze-api", "apiVersion", to="extensions/v1beta1"),
    "a selector of nothing": _spoil("Service", "breeze-api", "spec", "selector", to={"app": "other"}),
    "pods that are not selected": _spoil(
        "Deployment", "breeze-api", "spec", "template", "metadata", "labels", to={"app": "other"}
    ),
    "a port that nobody has": _spoil("Service", "breeze-media", "spec", "ports", 0, "targetPort", to="http"),
    "a route to nowhere": _spoil(
        "Ingress", "breeze-media", "spec", "rules", 1, "http", "paths", 0, "backend", "service", "name", to="gone"
    ),
    "a host without a certificate": _spoil("Ingress", "breeze-media", "spec", "rules", 1, "host", to="a.example.org"),
    "settings that do not exist": _spoil(
        "Job",
        "breeze-migrate",
        "spec",
        "template",
        "spec",
        "containers",
        0,
        "envFrom",
        0,
        "configMapRef",
        "name",
        to="no",
    ),
    "an autoscaler of nothing": _spoil(
        "HorizontalPodAutoscaler", "breeze-media", "spec", "scaleTargetRef", "name", to="other"
    ),
    "a budget of nothing": _spoil(
        "PodDisruptionBudget", "breeze-media", "spec", "selector", "matchLabels", to={"app": "other"}
    ),
    "a number where Kubernetes wants text": _spoil("ConfigMap", "breeze-settings", "data", "API_PORT", to=8000),
    "a process that runs as root": _spoil(
        "StatefulSet", "breeze-media", "spec", "template", "spec", "securityContext", "runAsNonRoot", to=False
    ),
    "two pods with one route": _spoil("Service", "breeze-media-1", "metadata", "name", to="breeze-media-0"),
    "a route of another set's pod": _spoil(
        "Service", "breeze-media-0", "spec", "selector", "statefulset.kubernetes.io/pod-name", to="breeze-medium-0"
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_them_is_found(mistake: str) -> None:
    spoilt = copy.deepcopy(MANIFESTS)
    MISTAKES[mistake](spoilt)
    with pytest.raises((AssertionError, KeyError, ValueError, jsonschema.ValidationError)):
        check(spoilt)


@pytest.mark.parametrize("name", CONTAINERS)
def test_each_process_is_a_command_of_ours_with_settings_that_exist(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    container = CONTAINERS[name]
    assert container["args"] == [name]
    assert name in get_command(app).commands  # type: ignore[attr-defined]
    assert set(environment_of(container, MANIFESTS)) <= SETTINGS
    settings = settings_of(name, monkeypatch)
    assert settings.pod_isolation
    assert settings.api_key is not None, "it listens beyond loopback"
    assert settings.database_url.startswith("postgresql+asyncpg://")


def test_nothing_secret_stands_among_the_settings() -> None:
    told = of("ConfigMap")["breeze-settings"]["data"]
    kept = of("Secret")["breeze-secrets"]["stringData"]
    secret = {name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert not secret & set(told)
    assert secret - set(told) <= set(kept)


@pytest.mark.parametrize(("name", "port"), [("api", "api_port"), ("media", "media_port")])
def test_ports_are_those_that_the_processes_listen_on(name: str, port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (offered,) = CONTAINERS[name]["ports"]
    assert offered["containerPort"] == getattr(settings_of(name, monkeypatch), port)


def test_every_pod_that_may_run_has_its_route(monkeypatch: pytest.MonkeyPatch) -> None:
    most = of("HorizontalPodAutoscaler")["breeze-media"]["spec"]["maxReplicas"]
    rules = {rule["host"]: rule["http"]["paths"][0] for rule in of("Ingress")["breeze-media"]["spec"]["rules"]}
    for place in range(most):
        name = f"breeze-media-{place}"
        for key, value in environment_of(CONTAINERS["media"], MANIFESTS, pod=name).items():
            monkeypatch.setenv(key, value)
        pod = pod_of(Settings(_env_file=None))
        assert pod.name == name
        host, path = re.fullmatch(r"wss://([^/]+)(/.*)", pod.stream_url).groups()  # type: ignore[union-attr]
        assert rules[host]["path"] == path == f"{PREFIX}/ws/twilio"
        service = of("Service")[rules[host]["backend"]["service"]["name"]]["spec"]
        assert service["selector"] == {"statefulset.kubernetes.io/pod-name": name}
        assert service["publishNotReadyAddresses"], "it is not ready while it drains"
    assert len(rules) == most + 1


def test_the_static_stream_url_leads_to_any_ready_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    static = settings_of("api", monkeypatch).stream_url
    host, path = re.fullmatch(r"wss://([^/]+)(/.*)", static).groups()  # type: ignore[union-attr]
    (rule,) = [rule for rule in of("Ingress")["breeze-media"]["spec"]["rules"] if rule["host"] == host]
    assert rule["http"]["paths"][0]["path"] == path
    assert rule["http"]["paths"][0]["backend"]["service"]["name"] == "breeze-media"


def test_twilio_reaches_the_api_at_its_public_url(monkeypatch: pytest.MonkeyPatch) -> None:
    (rule,) = of("Ingress")["breeze-api"]["spec"]["rules"]
    assert settings_of("api", monkeypatch).public_url == f"https://{rule['host']}"


def test_routes_are_those_that_the_script_writes() -> None:
    spec = importlib.util.spec_from_file_location("media_routes", FOLDER / "media_routes.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    most = of("HorizontalPodAutoscaler")["breeze-media"]["spec"]["maxReplicas"]
    assert (FOLDER / "media-routes.yaml").read_text() == script.routes(most, "media.example.com")


def test_a_media_server_that_is_stopped_finishes_the_longest_call_first(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of("media", monkeypatch)
    longest_s = Template.model_fields["max_call_s"].default + 30  # what Twilio is told as the limit
    assert settings.drain_timeout_s >= longest_s
    assert MEDIA_POD["terminationGracePeriodSeconds"] >= settings.drain_timeout_s + 30
    assert CONTAINERS["media"]["lifecycle"]["preStop"]["exec"]["command"] == ["breeze", "media", "--drain"]


def test_a_draining_pod_is_not_killed_for_not_being_ready() -> None:
    assert CONTAINERS["media"]["readinessProbe"]["httpGet"]["path"] == "/health"
    assert "httpGet" not in CONTAINERS["media"]["livenessProbe"]


def test_the_autoscaler_follows_a_metric_that_media_servers_tell() -> None:
    (metric,) = of("HorizontalPodAutoscaler")["breeze-media"]["spec"]["metrics"]
    told = exposition(streams=1, capacity=2, draining=False).decode()
    assert f"\n{metric['pods']['metric']['name']} " in told
    annotations = of("StatefulSet")["breeze-media"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(CONTAINERS["media"]["ports"][0]["containerPort"])
    assert annotations["prometheus.io/path"] == "/metrics"


def test_images_are_named_by_the_kustomization_with_a_version() -> None:
    named = {image["name"]: image for image in KUSTOMIZATION["images"]}
    assert {container["image"] for container in CONTAINERS.values()} == set(named)
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", image["newTag"]) for image in named.values())
