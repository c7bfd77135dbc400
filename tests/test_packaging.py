"""What is shipped: the wheel, the pins, the images and the compose file, each held against what it speaks of."""

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.main import get_command

from breeze_buddy.cli.main import app
from breeze_buddy.settings import Settings

ROOT = Path(__file__).parent.parent
CONSTRAINTS = (ROOT / "constraints.txt").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = ("migrate", "api", "worker", "media")
COMMANDS = set(get_command(app).commands)  # type: ignore[attr-defined]

# The parts of the Compose Specification that our file uses: anything else in it is a mistake until it is added here.
_TEXT = {"type": "string", "minLength": 1}
_WORDS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
_DURATION = {"type": "string", "pattern": r"^(\d+(us|ms|s|m|h))+$"}
_ENVIRONMENT = {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
COMPOSE_FACTS = {
    "type": "object",
    "required": ["name", "services"],
    "additionalProperties": False,
    "patternProperties": {"^x-": {}},
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$"},
        "volumes": {"type": "object", "additionalProperties": {"type": ["object", "null"]}},
        "services": {"type": "object", "additionalProperties": {"$ref": "#/$defs/service"}},
    },
    "$defs": {
        "service": {
            "type": "object",
            "required": ["image", "restart"],
            "additionalProperties": False,
            "properties": {
                "image": _TEXT,
                "build": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["context", "target"],
                    "properties": {"context": _TEXT, "target": _TEXT},
                },
                "command": _WORDS,
                "entrypoint": _WORDS,
                "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
                "stop_grace_period": _DURATION,
                "environment": _ENVIRONMENT,
                "volumes": _WORDS,
                "ports": {"type": "array", "items": {"type": "string", "pattern": r"^[\d.]+:\d+:\d+$"}},
                "depends_on": {
                    "type": "object",
                    "additionalProperties": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["condition"],
                        "properties": {
                            "condition": {
                                "enum": ["service_started", "service_healthy", "service_completed_successfully"]
                            }
                        },
                    },
                },
                "healthcheck": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["test", "interval", "timeout", "retries"],
                    "properties": {
                        "test": {**_WORDS, "prefixItems": [{"enum": ["CMD", "CMD-SHELL"]}]},
                        "interval": _DURATION,
                        "timeout": _DURATION,
                        "start_period": _DURATION,
                        "retries": {"type": "integer", "minimum": 1},
                    },
                },
                "logging": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "driver": _TEXT,
                        "options": {"type": "object", "additionalProperties": {"type": "string"}},
                    },
                },
            },
        }
    },
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """The wheel, built from this tree."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [built] = folder.glob("*.whl")
    with zipfile.ZipFile(built) as opened:
        yield opened


def test_the_wheel_holds_the_package_its_data_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "breeze_buddy"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    assert set(tracked) <= names
    assert "breeze_buddy/py.typed" in names
    assert any(name.startswith("breeze_buddy/store/migrations/versions/0001") for name in names)
    outside = {name for name in names if not name.startswith("breeze_buddy/")}
    assert all(".dist-info/" in name for name in outside), outside
    assert not [name for name in names if "__pycache__" in name]


def test_the_wheel_installs_the_breeze_command_and_its_licence(wheel: zipfile.ZipFile) -> None:
    [entry_points] = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert "breeze = breeze_buddy.cli.main:main" in wheel.read(entry_points).decode()
    [metadata] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    text = wheel.read(metadata).decode()
    assert "License-Expression: Apache-2.0" in text
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())


def test_every_pin_has_hashes_and_none_comes_from_a_url() -> None:
    entries = [entry for entry in re.split(r"(?m)^(?=[A-Za-z0-9])", CONSTRAINTS) if re.match(r"[A-Za-z0-9]", entry)]
    assert len(entries) > 50
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+==\S+", entry), entry[:80]
        assert "--hash=sha256:" in entry, entry[:80]
    assert "://" not in CONSTRAINTS
    assert not re.search(r"(?m)^\s*-", re.sub(r"(?m)^\s+--hash=sha256:[0-9a-f]{64}\b.*$", "", CONSTRAINTS))


def test_every_direct_requirement_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    pinned = {canonicalize_name(name) for name in re.findall(r"(?m)^([A-Za-z0-9._-]+)==", CONSTRAINTS)}
    names = {canonicalize_name(Requirement(requirement).name) for requirement in wanted} - {"breeze-buddy"}
    # 300 MB, and in no image: whoever wants LiveKit's plugins adds them.
    assert names - {"livekit-agents"} <= pinned


def _selected(*arguments: str) -> dict[str, list[str]]:
    """Name → entries, as the Dockerfile selects them."""
    written = subprocess.run(
        [sys.executable, str(ROOT / "deploy/select_requirements.py"), *arguments],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found: dict[str, list[str]] = {}
    for entry in re.split(r"(?m)^(?=[A-Za-z0-9])", written)[1:]:
        found.setdefault(canonicalize_name(entry.partition("==")[0]), []).append(entry)
    return found


@pytest.mark.parametrize(
    ("arguments", "present", "absent"),
    [
        ((), {"fastapi", "temporalio", "twilio", "picows", "uvloop"}, {"onnxruntime", "ctranslate2", "pytest", "ruff"}),
        (("--extra", "speech"), {"fastapi", "onnxruntime", "ctranslate2", "soxr"}, {"websockets", "pytest", "mypy"}),
        (("--extra", "s3"), {"fastapi", "s3fs", "aiobotocore", "botocore"}, {"moto", "boto3", "flask", "onnxruntime"}),
        (("--only", "hatchling"), {"hatchling", "pluggy"}, {"fastapi", "pytest"}),
    ],
)
def test_an_image_gets_what_it_needs_and_no_more(
    arguments: tuple[str, ...], present: set[str], absent: set[str]
) -> None:
    selected = _selected(*arguments)
    assert present <= set(selected)
    assert not absent & set(selected)
    assert all("--hash=sha256:" in entry for entries in selected.values() for entry in entries)
    # Whatever one of them needs on this system is among them.
    for name in selected:
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # for another system or Python
        for requirement in map(Requirement, needs):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                assert canonicalize_name(requirement.name) in selected, f"{name} needs {requirement}"


def test_an_unpinned_requirement_is_refused() -> None:
    refused = subprocess.run(
        [sys.executable, str(ROOT / "deploy/select_requirements.py"), "--only", "no-such-package"],
        capture_output=True,
        text=True,
    )
    assert refused.returncode != 0
    assert "no-such-package" in refused.stderr


def _merged(service: dict[str, Any]) -> dict[str, Any]:
    environment: dict[str, Any] = service.get("environment", {})
    return environment


def test_the_compose_file_is_of_the_form_that_compose_reads() -> None:
    jsonschema.validate(COMPOSE, COMPOSE_FACTS, cls=jsonschema.Draft202012Validator)
    services, volumes = COMPOSE["services"], COMPOSE["volumes"]
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in services, f"{name} depends on {needed}"
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[needed], f"{needed} has no health check"
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in volumes, mount


def test_images_are_pinned_by_version() -> None:
    for name, service in COMPOSE["services"].items():
        image, _, tag = service["image"].partition(":")
        if name in OURS:
            assert tag == "local"
        else:
            assert re.search(r"\d+\.\d+", tag), f"{image} is pinned by {tag!r}"
    python_image = re.search(r"ARG PYTHON_IMAGE=python:(\S+)", (ROOT / "Dockerfile").read_text())
    assert python_image is not None
    assert re.match(r"3\.\d+\.\d+-slim", python_image[1])


def test_our_services_run_real_commands_and_real_targets() -> None:
    stages = set(re.findall(r"(?m)^FROM .* AS (\S+)", (ROOT / "Dockerfile").read_text()))
    built = {service["image"]: service["build"] for service in COMPOSE["services"].values() if "build" in service}
    for name in OURS:
        service = COMPOSE["services"][name]
        assert service["command"][0] in COMMANDS
        assert service["image"] in built
        assert built[service["image"]]["target"] in stages


def test_only_the_media_image_carries_speech() -> None:
    assert COMPOSE["services"]["media"]["image"] != COMPOSE["services"]["api"]["image"]
    dockerfile = (ROOT / "Dockerfile").read_text()
    core, media = dockerfile.partition(" AS build-media")[::2]
    assert "--extra" not in core
    assert "--extra speech" in media


def test_every_variable_given_to_our_processes_is_a_setting() -> None:
    known = {name.upper() for name in Settings.model_fields}
    for name in OURS:
        given = set(_merged(COMPOSE["services"][name]))
        assert given <= known, f"{name}: {given - known}"


def test_the_settings_of_the_compose_file_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OURS:
        for key, value in _merged(COMPOSE["services"][name]).items():
            if value is not None:
                monkeypatch.setenv(key, _interpolated(value))
        settings = Settings(_env_file=None)
        assert settings.database_url.startswith("postgresql+asyncpg://breeze:filled@postgresql")
        assert settings.api_key is not None, "it listens beyond loopback"


def _interpolated(value: str) -> str:
    def filled(found: re.Match[str]) -> str:
        return found[2] if found[1] == ":-" else "filled"

    return re.sub(r"\$\{\w+(:-|:\?)?([^}]*)\}", filled, value)


def test_the_example_environment_has_every_variable_that_must_be_set_and_no_other() -> None:
    example = (ROOT / ".env.example").read_text()
    text = (ROOT / "docker-compose.yml").read_text()
    offered = set(re.findall(r"(?m)^(?:# )?([A-Z_]+)=", example))
    needed = set(re.findall(r"\$\{(\w+):\?", text))
    used = set(re.findall(r"\$\{(\w+)", text)) | {
        key for name in OURS for key, value in _merged(COMPOSE["services"][name]).items() if value is None
    }
    assert needed <= set(re.findall(r"(?m)^([A-Z_]+)=", example))
    assert offered == used


def test_ports_are_published_on_loopback_only() -> None:
    for service in COMPOSE["services"].values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")


def test_a_compose_file_with_a_mistake_is_refused() -> None:
    spoilt = json.loads(json.dumps(COMPOSE))
    spoilt["services"]["api"]["enviroment"] = {}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spoilt, COMPOSE_FACTS, cls=jsonschema.Draft202012Validator)


def test_every_command_says_what_it_does() -> None:
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        assert command.help, name
        assert len(command.help.split()) > 2, name
