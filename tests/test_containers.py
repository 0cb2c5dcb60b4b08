"""The container files, which cannot be run where the tests run: their syntax and what they
promise.
"""

import re
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
    assert set(services) == {"redis", "api", "worker"}
    assert services["redis"]["command"][1:3] == ["--appendonly", "yes"]
    for name in ("api", "worker"):
        assert services[name]["environment"]["DRIFTGAUGE_REDIS_URL"].startswith("redis://redis:")
        assert services[name]["depends_on"]["redis"]["condition"] == "service_healthy"


def test_compose_publishes_nothing_beyond_loopback(services: dict[str, Any]) -> None:
    """Without API keys no port is published to the network."""
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", ["redis", "api", "worker"])
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
        named |= {key.removeprefix("DRIFTGAUGE_") for key in service.get("environment", {})}
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
