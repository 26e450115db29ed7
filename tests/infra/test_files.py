"""Every file of infra/ is checked by its own tool, and a broken one is found by it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from stormcast_tw.settings import Settings
from tests.infra.tools import INFRA, ROOT, SECRETS, compose, image_environment, run, tool

YAML_RULES = (
    "{extends: default, rules: {document-start: disable, line-length: {max: 120}, braces: {max-spaces-inside: 0}}}"
)
UNITS = sorted((INFRA / "systemd").iterdir())
MOST_EXPOSED = {
    "stormcast-server": 2.0,
    "stormcast-worker@operations": 4.0,
    "stormcast-clock": 3.5,
    "stormcast-watch": 2.0,
    "stormcast-backup": 2.0,
}
"""systemd's own measure, 0 to 10: the worker needs devices and compiled code."""
ONE_SHOTS = {"deploy", "bucket", "watch", "backup"}
READ_BY_BOOTSTRAP = {"HOME", "EXPERIMENT", "ALARM_URL", "ALARM_BLOCK"}


def test_the_image_is_built_as_hadolint_advises(tmp_path: Path):
    assert run("hadolint", INFRA / "Dockerfile").stdout == ""
    (tmp_path / "Dockerfile").write_text("FROM python:latest\nRUN sudo apt-get install gcc\n")
    assert run("hadolint", tmp_path / "Dockerfile").returncode != 0


def test_the_image_runs_as_nobody_and_is_built_of_what_the_context_has():
    lines = (INFRA / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("USER ")] == ["USER 10001:10001"]
    copied = {word.rstrip("/") for line in lines if re.match(r"COPY (?!--from)", line) for word in line.split()[1:-1]}
    given = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {"requirements*.lock" if word.endswith(".lock") else word for word in copied} == given
    assert all((ROOT / word).exists() for word in copied)


def test_yaml_is_tidy(tmp_path: Path):
    files = [*INFRA.glob("*.yaml"), *INFRA.glob("k8s/**/*.yaml")]
    assert len(files) > 8
    done = run("yamllint", "--strict", "--config-data", YAML_RULES, *files)
    assert done.returncode == 0, done.stdout
    (tmp_path / "twice.yaml").write_text("a: 1\na: 2\n")
    assert run("yamllint", "--config-data", YAML_RULES, tmp_path / "twice.yaml").returncode != 0


def test_scripts_pass_shellcheck():
    scripts = [*INFRA.glob("*.sh"), *INFRA.glob("slurm/*.sbatch")]
    assert len(scripts) >= 5
    assert run("shellcheck", *scripts).stdout == ""


def test_caddy_reads_its_file_and_would_write_it_so():
    done = run("caddy", "validate", "--config", INFRA / "Caddyfile", SITE="localhost")
    assert done.returncode == 0, done.stdout
    formatted = run("caddy", "fmt", INFRA / "Caddyfile")
    assert formatted.stdout == (INFRA / "Caddyfile").read_text()


@pytest.fixture(scope="module")
def settings_of_compose(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return compose(tmp_path_factory.mktemp("compose"), "compose.yaml", "compose.gpu.yaml", **SECRETS)


def test_compose_holds_every_service_to_the_rules(settings_of_compose: dict[str, Any]):
    services = settings_of_compose["services"]
    long_running = services.keys() - ONE_SHOTS
    assert long_running == {"postgres", "server", "operations", "backfill", "training", "clock", "store", "proxy"}
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"], name
        assert service["deploy"]["resources"]["limits"]["memory"], name
    for name in long_running:
        assert services[name]["restart"] == "unless-stopped", name
        assert services[name]["stop_grace_period"], name
        of_image = services[name]["image"].startswith("stormcast-tw:")
        assert of_image or "healthcheck" in services[name], f"{name}: the image's own is the project's"
    assert {name for name, service in services.items() if "ports" in service} == {"proxy"}
    for name in ("operations", "backfill", "training"):
        assert services[name]["environment"]["STORMCAST_TW_DEVICE"] == "cuda:0"
        assert services[name]["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]


@pytest.mark.parametrize("missing", SECRETS)
def test_compose_starts_nothing_without_a_secret(missing: str, tmp_path: Path):
    env = tmp_path / "env"
    env.write_text("".join(f"{name}={value}\n" for name, value in SECRETS.items() if name != missing))
    done = run("docker-compose", "--env-file", env, "--file", INFRA / "compose.yaml", "config")
    assert done.returncode != 0
    assert missing in done.stdout


def test_the_example_asks_for_every_variable_of_compose():
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", (INFRA / "compose.yaml").read_text()))
    asked = dict(re.findall(r"^(\w+)=(.*)$", (INFRA / "env.example").read_text(), re.MULTILINE))
    optional = {"TAG", "OPERATIONS_MEMORY", "BACKFILL_MEMORY", "TRAINING_MEMORY"}
    assert asked.keys() - {"COMPOSE_FILE"} == used - optional
    assert {name for name, value in asked.items() if value in ("", "operator:")} - {"ALARM_URL"} == SECRETS.keys() - {
        "SITE"
    }


@pytest.fixture(scope="module", params=["base", "overlays/gpu"])
def kubernetes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What kustomize makes of a folder."""
    done = run("kubectl", "kustomize", INFRA / "k8s" / request.param)
    assert done.returncode == 0, done.stdout
    path = tmp_path_factory.mktemp("kubernetes") / "resources.yaml"
    path.write_text(done.stdout)
    return path


def test_kubernetes_resources_follow_their_schemas(kubernetes: Path, tmp_path: Path):
    done = run("kubernetes-validate", "--strict", kubernetes)
    assert done.returncode == 0, done.stdout
    (tmp_path / "wrong.yaml").write_text(kubernetes.read_text().replace("readOnlyRootFilesystem:", "readOnly:", 1))
    assert run("kubernetes-validate", "--strict", tmp_path / "wrong.yaml").returncode != 0


def test_every_pod_is_of_the_restricted_kind(kubernetes: Path):
    pods = list(_pods(kubernetes))
    assert len(pods) == 8
    for name, pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in pod["containers"]:
            locked = {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["securityContext"] == locked, name
            assert container["resources"]["limits"]["memory"], name
            named = {"postgres": ("readinessProbe", "livenessProbe"), "server": ("readinessProbe", "livenessProbe")}
            wanted = named.get(
                container["name"], ("startupProbe", "livenessProbe") if name.startswith(("worker", "clock")) else ()
            )
            assert set(wanted) <= container.keys(), name
            secret = [e for e in container.get("env", ()) if re.search("PASSWORD|AUTH|SECRET|KEY|URL$", e["name"])]
            plain = {e["name"] for e in secret if "value" in e}
            assert plain <= {"PREFECT_API_URL", "PREFECT_SERVER_UI_API_URL"}, name
    gpus = [
        c["resources"]["limits"].get("nvidia.com/gpu")
        for name, pod in pods
        if "worker" in name
        for c in pod["containers"]
    ]
    assert len(gpus) == 3
    assert set(gpus) in ({None}, {1})


def _pods(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for resource in yaml.safe_load_all(path.read_text()):
        spec = resource.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            yield resource["metadata"]["name"], spec["template"]["spec"]


def test_every_queue_has_its_worker(settings_of_compose: dict[str, Any], kubernetes: Path):
    deployments = yaml.safe_load((ROOT / "deployments/prefect.yaml").read_text())["deployments"]
    wanted = {(d["work_pool"]["name"], d["work_pool"].get("work_queue_name")) for d in deployments}
    of_pods = [pod["containers"][0].get("command", ()) for _, pod in _pods(kubernetes)]
    of_compose = [service.get("command") or () for service in settings_of_compose["services"].values()]
    of_units = [re.search(r"^ExecStart=.*/(prefect worker .*)", unit.read_text(), re.MULTILINE) for unit in UNITS]
    any_queue = [found[1].replace("%i", d).split() for found in of_units if found for d in {q for _, q in wanted if q}]
    for commands in (of_pods, of_compose, any_queue):
        assert {pair for command in commands for pair in _queues(command)} == wanted


def _queues(command: Sequence[str]) -> list[tuple[str, str | None]]:
    """Return the pool and the queues of a worker's command; None: whatever the pool has."""
    words = " ".join(command).replace("=", " ").split()
    if words[:3] != ["prefect", "worker", "start"]:
        return []
    pairs = list(pairwise(words))
    pool = next(value for name, value in pairs if name == "--pool")
    return [(pool, value) for name, value in pairs if name == "--work-queue"] or [(pool, None)]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The root of a machine with our units, the programs they start, and systemd's own targets."""
    tool("systemd-analyze")
    for program in ("bin/prefect", "bin/stormcast-tw", "infra/backup.sh"):
        path = tmp_path / "opt/stormcast-tw" / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    ours, theirs = tmp_path / "etc/systemd/system", tmp_path / "usr/lib/systemd/system"
    for folder, files in ((ours, UNITS), (theirs, Path("/lib/systemd/system").glob("*.target"))):
        folder.mkdir(parents=True)
        for file in files:
            shutil.copy(file, folder / file.name)
    return tmp_path


def _verify(machine: Path) -> str:
    """What systemd finds wrong with our units; its exit code says nothing of unknown words."""
    units = [unit.name.replace("@.", "@operations.") for unit in UNITS]
    return run("systemd-analyze", "verify", f"--root={machine}", "--man=no", *units).stdout


def test_systemd_understands_every_unit(machine: Path):
    assert _verify(machine) == ""
    watch = machine / "etc/systemd/system/stormcast-watch.service"
    watch.write_text(watch.read_text().replace("ProtectHome=", "ProtectHomes="))
    assert "Unknown key" in _verify(machine)


@pytest.mark.parametrize("unit", MOST_EXPOSED)
def test_units_are_hardened(unit: str, machine: Path):
    done = run("systemd-analyze", "security", "--offline=true", f"--root={machine}", "--no-pager", f"{unit}.service")
    exposure = re.search(r"Overall exposure level for .*: ([\d.]+)", done.stdout)
    assert exposure, done.stdout
    assert float(exposure[1]) <= MOST_EXPOSED[unit]


def _stated(settings_of_compose: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Every variable that a file of infra/ sets for a process of ours, by file or service."""
    stated = {f"compose, {name}": s.get("environment", {}) for name, s in settings_of_compose["services"].items()}
    stated["Dockerfile"] = image_environment()
    for unit in UNITS:
        lines = re.findall(r"^#?\s*(?:Environment=)?(\w.*)$", unit.read_text(), re.MULTILINE)
        pairs = [
            word.split("=", 1) for line in lines for word in line.split() if re.match(r"(PREFECT|STORMCAST)\w+=", word)
        ]
        stated[unit.name] = {name: value for name, value in pairs if not value.startswith("...")}
    for overlay in ("base", "overlays/gpu"):
        for path in sorted((INFRA / "k8s" / overlay).glob("*.yaml")):
            text = path.read_text()
            named = re.findall(r"name: ((?:PREFECT|STORMCAST)\w+)(?:, value: \"?([^\"}]+)|\n\s+value: (\S+))?", text)
            literals = re.findall(r"- (STORMCAST\w+)=(\S+)", text)
            stated[f"{overlay}/{path.name}"] = {name: a or b for name, a, b in named} | dict(literals)
    return stated


def test_every_setting_is_one_that_is_read(settings_of_compose: dict[str, Any]):
    """Prefect ignores a name it does not know: a misspelt one would be a server without, say, leases on disk."""
    from prefect.settings import Settings as PrefectSettings
    from prefect.settings.base import PrefectBaseSettings

    def names(model: type[PrefectBaseSettings]) -> Iterator[str]:
        for name, field in model.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, PrefectBaseSettings):
                yield from names(field.annotation)
            else:
                yield f"{model.model_config['env_prefix']}{name}".upper()

    known = set(names(PrefectSettings))
    ours = {f"STORMCAST_TW_{name.upper()}" for name in {*Settings.model_fields, *READ_BY_BOOTSTRAP}}
    seen: set[str] = set()
    for where, variables in _stated(settings_of_compose).items():
        for name in variables:
            assert not name.startswith("PREFECT_") or name in known, f"{where}: {name}"
            assert not name.startswith("STORMCAST_TW_") or name in ours, f"{where}: {name}"
        seen |= variables.keys()
    assert {
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE",
        "STORMCAST_TW_PUBLISHED_ROOT",
        "PREFECT_API_AUTH_STRING",
    } <= seen


def test_the_server_has_the_same_settings_wherever_it_runs(settings_of_compose: dict[str, Any]):
    stated = _stated(settings_of_compose)
    places = ("compose, server", "stormcast-server.service", "base/server.yaml")
    names = [{n for n in stated[place] if n.startswith("PREFECT_SERVER")} for place in places]
    own = {"PREFECT_SERVER_UI_STATIC_DIRECTORY"}  # the image has it
    assert names[0] == names[1] - own == names[2] - own
    for name in names[0]:
        if re.search("URL|AUTH", name) is None:
            assert len({stated[place][name] for place in places}) == 1, name
