"""The container files, which cannot be run where the tests run: their syntax and what they
promise.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from driftgauge.__main__ import cli
from driftgauge.shared.settings import Settings
from tests.places import ROOT


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def test_compose_runs_redis_api_and_worker(services: dict[str, Any]) -> None:
    """Redis keeps an append-only file; API and worker run the image and find Redis by its service
    name.
    """
    always = {name for name, service in services.items() if "profiles" not in service}
    assert always == {"redis", "api", "worker"}
    assert services["redis"]["command"][1:3] == ["--appendonly", "yes"]
    for name in ("api", "worker"):
        assert services[name]["environment"]["DRIFTGAUGE_REDIS_URL"].startswith("redis://redis:")
        assert services[name]["depends_on"]["redis"]["condition"] == "service_healthy"


def test_compose_publishes_nothing_beyond_loopback(services: dict[str, Any]) -> None:
    """Without API keys no port is published to the network."""
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", ["redis", "api", "worker", "prometheus", "grafana"])
def test_compose_confines_each_service(services: dict[str, Any], name: str) -> None:
    """No service has a capability, can gain one, or can write outside of its volumes; memory and
    processes are bounded.
    """
    service = services[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service["restart"] == "unless-stopped"


def test_compose_has_the_boards_as_a_profile(services: dict[str, Any]) -> None:
    """Prometheus and Grafana run only where they are asked for; each finds its files, and Grafana
    the Prometheus.
    """
    for name in ("prometheus", "grafana"):
        assert services[name]["profiles"] == ["boards"]
        mounted = _mounts(services[name])
        assert all((ROOT / source).is_dir() and how == "ro" for source, _, how in mounted)
    folders = {target: ROOT / source for source, target, _ in _mounts(services["grafana"])}
    provisioned = folders["/etc/grafana/provisioning"]
    (source,) = _read(provisioned / "datasources" / "prometheus.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = _read(provisioned / "dashboards" / "driftgauge.yml")["providers"]
    boards = folders[provider["options"]["path"]]
    assert {path.name for path in boards.iterdir()} == {"fleet.json", "model.json", "pipeline.json"}
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/fleet.json"


def test_compose_scrapes_api_and_worker_by_their_names(services: dict[str, Any]) -> None:
    """The Prometheus of compose has the same jobs and rules as the example, and asks for services
    by names that they answer to.
    """
    given = _read(ROOT / "deploy" / "prometheus" / "compose.yml")
    example = _read(ROOT / "deploy" / "prometheus" / "prometheus.yml")
    for config in (given, example):
        for job in config["scrape_configs"]:
            ((job["host"], _),) = (
                one.split(":") for one in job.pop("static_configs")[0]["targets"]
            )
    hosts = [job.pop("host") for job in given["scrape_configs"]]
    assert hosts == ["api", "worker"]
    for host in hosts:
        assert services[host]["environment"]["DRIFTGAUGE_ALLOWED_HOSTS"] == host
    for job in example["scrape_configs"]:
        assert job.pop("host") == "127.0.0.1"
    assert given == example
    (source,) = _read(
        ROOT / "deploy" / "grafana" / "provisioning" / "datasources" / "prometheus.yml"
    )["datasources"]
    assert source["jsonData"]["timeInterval"] == given["global"]["scrape_interval"]


def test_compose_has_no_password(services: dict[str, Any]) -> None:
    """Grafana makes no account, so none has a password that everybody knows."""
    environment = services["grafana"]["environment"]
    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    names = [name for service in services.values() for name in service.get("environment", {})]
    assert not [name for name in names if "PASSWORD" in name or "SECRET" in name]


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def _mounts(service: dict[str, Any]) -> list[list[str]]:
    return [one.split(":") for one in service["volumes"] if one.startswith("./")]


@pytest.mark.parametrize("name", ["api", "worker"])
def test_compose_commands_are_commands_of_the_image(services: dict[str, Any], name: str) -> None:
    """Each command and option exists in the command line that is the image's entry point."""
    command, *options = services[name]["command"]
    usage = CliRunner().invoke(cli(), [command, "--help"])
    assert usage.exit_code == 0
    assert all(option in usage.output for option in options if option.startswith("--"))


def test_compose_environment_names_settings(services: dict[str, Any]) -> None:
    """Every DRIFTGAUGE_ variable of the container files is a setting."""
    named = set(re.findall(r"DRIFTGAUGE_([A-Z_]+)", (ROOT / "Dockerfile").read_text()))
    for service in services.values():
        keys = [key for key in service.get("environment", {}) if not key.startswith("GF_")]
        named |= {key.removeprefix("DRIFTGAUGE_") for key in keys}
    assert {name.lower() for name in named} <= set(Settings.model_fields)


def test_dockerfile_is_multi_stage_slim_non_root_with_a_health_check() -> None:
    """The image is built in stages, runs as a user of its own, and says whether it is healthy."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    stages = [line for line in lines if line.startswith("FROM ")]
    assert len(stages) == 2
    assert all("slim" in stage for stage in stages)
    assert [line for line in lines if line.startswith("USER ")] == ["USER driftgauge"]
    assert any(line.startswith("HEALTHCHECK ") for line in lines)
    known = "FROM|WORKDIR|RUN|COPY|ENV|USER|EXPOSE|HEALTHCHECK|ENTRYPOINT|CMD"
    assert all(re.match(rf"({known}) |#|    |$", line) for line in lines)


def test_everything_that_the_image_copies_exists() -> None:
    """The build's COPY sources are in the repository and not left out by .dockerignore."""
    copied = re.findall(
        r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE
    )
    sources = {name for line in copied for name in line.split()}
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert sources
    assert all((ROOT / name).exists() and name not in ignored for name in sources)
