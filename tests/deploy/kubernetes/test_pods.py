"""The pods of API and worker are what the code and the image are made for."""

import re
import tomllib
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from driftgauge.__main__ import cli
from driftgauge.consumer.worker import WRITER_PATIENCE_S
from driftgauge.producer.server import EXIT_S
from driftgauge.shared.settings import Settings
from tests.deploy.kubernetes.rendered import WAYS, container, named, of_kind, ours, pod, settings
from tests.places import ROOT

pytestmark = pytest.mark.long  # they need the extra `deploy`

every_way = pytest.mark.parametrize("way", WAYS)
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: Any = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


@every_way
def test_pods_are_restricted(way: str) -> None:
    """Each pod meets Kubernetes's strictest standard, and cannot write outside of its volumes."""
    for workload in of_kind(way, "StatefulSet", "Deployment"):
        spec, only = pod(workload), container(workload)
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert only["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert spec["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        assert only["resources"]["limits"]["memory"]
        assert set(only["resources"]["requests"]) == {"cpu", "memory"}


@every_way
def test_the_user_is_the_images(way: str) -> None:
    """Pods run as the user that the image makes; its group may write to volumes."""
    (uid,) = re.findall(r"useradd .*--uid (\d+)", DOCKERFILE)
    for workload in ours(way):
        context = pod(workload)["securityContext"]
        assert {context[name] for name in ("runAsUser", "runAsGroup", "fsGroup")} == {int(uid)}


@pytest.mark.parametrize("way", ["small", "production", "chart"])
def test_the_image_is_the_one_that_is_built(way: str) -> None:
    """Its name is that of the container files, its tag the version of the package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    built = {COMPOSE[name]["image"] for name in ("api", "worker")}
    assert {container(one)["image"] for one in ours(way)} == {
        f"{name}:{project['version']}" for name in built
    }


def test_a_digest_goes_before_a_tag() -> None:
    """Whoever pins the image gets that one."""
    assert {container(one)["image"] for one in ours("chart, whole")} == {
        "driftgauge@sha256:" + "a" * 64
    }


def test_the_image_can_read_a_registry_in_object_storage() -> None:
    """It has the extra that DRIFTGAUGE_REGISTRY_URL needs."""
    (extras,) = re.findall(r"'\.\[([\w,]+)\]'", DOCKERFILE)
    assert {"server", "s3"} <= set(extras.split(","))


@every_way
def test_variables_are_settings(way: str) -> None:
    """Each variable is a setting, and all of them can be used together."""
    given = settings(way)
    names = {name.removeprefix("DRIFTGAUGE_").lower(): text for name, text in given.items()}
    assert names.keys() <= Settings.model_fields.keys()
    Settings.model_validate_strings(names)


@every_way
def test_no_secret_stands_in_a_resource(way: str) -> None:
    """Addresses with passwords and keys come by a Secret, which nothing here makes."""
    assert of_kind(way, "Secret") == []
    secret = {"DRIFTGAUGE_REDIS_URL", "DRIFTGAUGE_PII_KEY", "DRIFTGAUGE_API_KEY"}
    assert not secret & settings(way).keys()
    for workload in ours(way):
        assert "env" not in container(workload)
        sources = container(workload)["envFrom"]
        assert {"secretRef": {"name": "driftgauge"}} in sources
        (keys,) = [one for one in pod(workload)["volumes"] if one["name"] == "keys"]
        assert keys["secret"] == {"secretName": "driftgauge-keys", "defaultMode": 0o440}


@every_way
def test_no_service_sets_a_variable(way: str) -> None:
    """Kubernetes would set DRIFTGAUGE_WORKER_PORT to `tcp://…` for the Service of that name."""
    assert "DRIFTGAUGE_WORKER_PORT" in settings(way)
    assert all(pod(one)["enableServiceLinks"] is False for one in ours(way))


@every_way
def test_ports_are_the_codes(way: str) -> None:
    """The API has its default port, the worker the one that its setting names."""
    api, worker = ours(way)
    assert [port["containerPort"] for port in container(api)["ports"]] == [
        Settings.model_fields["port"].default
    ]
    told = int(settings(way)["DRIFTGAUGE_WORKER_PORT"])
    assert [port["containerPort"] for port in container(worker)["ports"]] == [told]
    assert f"EXPOSE {Settings.model_fields['port'].default}" in DOCKERFILE


@every_way
def test_probes_ask_what_is_answered(way: str) -> None:
    """Liveness asks whether the process answers, readiness whether it is of use, at its port."""
    asked = {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    for workload in ours(way):
        (port,) = container(workload)["ports"]
        for name, path in asked.items():
            probe = container(workload)[name]
            assert probe["httpGet"] == {"path": path, "port": port["name"]}
            assert probe["timeoutSeconds"] >= 2


@every_way
def test_commands_are_the_images(way: str) -> None:
    """The image's entry point knows what each container is told to do."""
    for workload in ours(way):
        assert "command" not in container(workload)
        usage = CliRunner().invoke(cli(), [*container(workload)["args"], "--help"])
        assert usage.exit_code == 0


@every_way
def test_a_pod_has_the_time_that_it_takes_to_end(way: str) -> None:
    """Nothing is killed that would have ended by itself: preStop and the API's own bound fit in,
    and the worker's commits and its reports that are being made.
    """
    api, worker = ours(way)
    pause_s = container(api)["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod(api)["terminationGracePeriodSeconds"] > pause_s + EXIT_S
    assert pod(worker)["terminationGracePeriodSeconds"] > 4 * WRITER_PATIENCE_S


@every_way
def test_the_spool_outlives_the_pod(way: str) -> None:
    """Each API pod has a claim of its own for the data folder, which stays when the pod goes, and
    has room for a full spool beside the largest batch and registration.
    """
    api, worker = ours(way)
    (claim,) = api["spec"]["volumeClaimTemplates"]
    (data,) = re.findall(r"DRIFTGAUGE_DATA_DIR=(\S+?) ", DOCKERFILE)
    for workload in (api, worker):
        mounts = {
            mount["name"]: mount["mountPath"] for mount in container(workload)["volumeMounts"]
        }
        assert mounts["data"] == data
        assert mounts["tmp"] == "/tmp"  # noqa: S108  the container's own
    assert claim["metadata"]["name"] == "data"
    kept = api["spec"]["persistentVolumeClaimRetentionPolicy"]
    assert set(kept.values()) == {"Retain"}
    fields = Settings.model_fields
    needed = sum(
        fields[name].default
        for name in ("spool_max_bytes", "batch_max_bytes", "register_max_bytes")
    )
    size = claim["spec"]["resources"]["requests"]["storage"]
    assert int(size.removesuffix("Gi")) << 30 > needed


@every_way
def test_nothing_is_written_where_nothing_can_be(way: str) -> None:
    """Folders that the settings name are mounted, and the keys file is where the Secret is."""
    given = settings(way)
    assert given["DRIFTGAUGE_REPORTS_KEPT"] == "0"
    api, worker = ours(way)
    mounted = {mount["mountPath"] for mount in container(api)["volumeMounts"]}
    assert given["DRIFTGAUGE_KEYS_FILE"].rpartition("/")[0] in mounted
    (registry,) = re.findall(r"DRIFTGAUGE_REGISTRY_DIR=(\S+)", DOCKERFILE)
    assert (registry in mounted) != ("DRIFTGAUGE_REGISTRY_URL" in given)
    for workload in (api, worker):
        names = {volume["name"] for volume in pod(workload)["volumes"]}
        claims = {
            one["metadata"]["name"] for one in workload["spec"].get("volumeClaimTemplates", [])
        }
        assert {mount["name"] for mount in container(workload)["volumeMounts"]} == names | claims


@every_way
def test_a_rollout_has_old_and_new_workers_side_by_side(way: str) -> None:
    """Somebody counts at every moment of it."""
    _, worker = ours(way)
    assert worker["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_the_small_redis_is_that_of_compose() -> None:
    """It keeps what it acknowledged and evicts nothing, with a password beside."""
    redis = container(named("small", "StatefulSet", "-redis"))
    assert redis["image"] == COMPOSE["redis"]["image"]
    given = [*redis["command"], *redis["args"]]
    flags = dict(zip(given[1::2], given[2::2], strict=True))
    assert flags.pop("--dir") == "/data"
    assert flags.pop("--requirepass") == "$(VALKEY_PASSWORD)"
    asked = COMPOSE["redis"]["command"]
    assert flags == dict(zip(asked[1::2], asked[2::2], strict=True))
