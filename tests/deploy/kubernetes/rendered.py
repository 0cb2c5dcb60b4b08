"""The resources of each way to install: both overlays by kubectl, the chart by Helm's own code."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.places import ROOT

Resource = dict[str, Any]
KUBERNETES = ROOT / "deploy" / "kubernetes"
CHART = ROOT / "deploy" / "helm" / "driftgauge"
PATIENCE_S = 60
WHOLE: Final[Mapping[str, Any]] = {
    "image": {"digest": "sha256:" + "a" * 64, "pullSecrets": ["pull"]},
    "settings": {"DRIFTGAUGE_WINDOW_EVENTS": 5000, "DRIFTGAUGE_ACCESS_LOG": False},
    "policy": '[default]\ncooldown_minutes = 60 # "{{ a }}"\n',
    "registry": {"url": "s3://models/driftgauge"},
    "serviceAccount": {"annotations": {"example.org/role": "reader"}},
    "api": {"autoscaling": {"enabled": True}, "data": {"storageClass": "fast"}},
    "networkPolicy": {"egressPorts": [4318]},
    "monitoring": {"enabled": True, "labels": {"release": "prometheus"}},
}
"""Values that use every branch of the chart's templates that the defaults leave out."""
CASES: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "chart": ("driftgauge", {}),
    "chart, whole": ("blue", WHOLE),
    "unshared registry": ("driftgauge", {"api": {"replicas": 2}}),
    "unshared registry, scaled": ("driftgauge", {"api": {"autoscaling": {"enabled": True}}}),
    "secret": ("driftgauge", {"settings": {"DRIFTGAUGE_REDIS_URL": "redis://:secret@redis"}}),
    "own setting": ("driftgauge", {"settings": {"DRIFTGAUGE_WORKER_PORT": 9000}}),
    "unknown value": ("driftgauge", {"api": {"replica": 2}}),
}
"""Release and values of what is asked of Helm."""
WAYS: Final = ("small", "production", "chart", "chart, whole")
"""The ways to install."""


def absent(what: str) -> None:
    """Skip, but fail in CI."""
    told = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
    told(f"NO TEST OF THE MANIFESTS: {what} is not installed (pip install 'driftgauge[test]')")


def read(text: str) -> tuple[Resource, ...]:
    """Read the documents of a text by the library in C, where there is one."""
    return tuple(yaml.load_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


@cache
def overlay(name: str) -> tuple[Resource, ...]:
    """Return what `kubectl kustomize` makes of an overlay."""
    beside = Path(sys.executable).parent
    program = shutil.which("kubectl", path=f"{beside}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        absent("kubectl")
    done = subprocess.run(
        [str(program), "kustomize", str(KUBERNETES / "overlays" / name)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "kustomize warns"
    return read(done.stdout)


@cache
def helm() -> dict[str, Any]:
    """Return what Helm says of the chart: its lint, and an answer for each case."""
    if importlib.util.find_spec("helm_python") is None:
        absent("helm-python-sdk")
    asked = [{"release": release, "values": values} for release, values in CASES.values()]
    done = subprocess.run(
        [sys.executable, "-m", "tests.deploy.kubernetes.helm"],
        input=json.dumps(asked),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    return {"lint": told["lint"], **dict(zip(CASES, told["answers"], strict=True))}


@cache
def resources(way: str) -> tuple[Resource, ...]:
    """Return the resources of a way to install, which are shared: copy what you change."""
    if way not in CASES:
        return overlay(way)
    answer = helm()[way]
    assert "refused" not in answer, answer
    texts = [text for name, text in answer["files"].items() if name.endswith(".yaml")]
    return tuple(one for text in texts for one in read(text) if one is not None)


def of_kind(way: str, *kinds: str) -> list[Resource]:
    return [one for one in resources(way) if one["kind"] in kinds]


def named(way: str, kind: str, end: str) -> Resource:
    """Return the one resource of a kind whose name ends so."""
    (found,) = [one for one in of_kind(way, kind) if one["metadata"]["name"].endswith(end)]
    return found


def ours(way: str) -> list[Resource]:
    """Return what runs API and worker, in this order."""
    return [named(way, "StatefulSet", "-api"), named(way, "Deployment", "-worker")]


def pod(workload: Resource) -> Resource:
    return workload["spec"]["template"]["spec"]


def container(workload: Resource) -> Resource:
    (only,) = pod(workload)["containers"]
    return only


def settings(way: str) -> dict[str, str]:
    """Return the variables that API and worker get of the ConfigMap."""
    maps = {one["metadata"]["name"]: one for one in of_kind(way, "ConfigMap")}
    (name,) = {
        source["configMapRef"]["name"]
        for workload in ours(way)
        for source in container(workload)["envFrom"]
        if "configMapRef" in source
    }
    return maps[name]["data"]
