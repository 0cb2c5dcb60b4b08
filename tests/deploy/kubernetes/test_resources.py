"""Each way to install gives resources that Kubernetes takes, and that find each other."""

import json
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from tests.deploy.asked import rules
from tests.deploy.kubernetes.rendered import (
    WAYS,
    Resource,
    absent,
    container,
    named,
    of_kind,
    ours,
    pod,
    read,
    resources,
)
from tests.places import ROOT

pytestmark = pytest.mark.long  # they need the extra `deploy`

OLDEST, NEWEST = "1.30", "1.37"
OPERATOR = "monitoring.coreos.com/v1"
KINDS = {"Deployment", "StatefulSet"}

every_way = pytest.mark.parametrize("way", WAYS)


@cache
def schemas(version: str) -> Path:
    if find_spec("kubernetes_validate") is None:
        absent("kubernetes-validate")
    home = Path(str(import_module("kubernetes_validate").__file__)).parent
    return home / "kubernetes-json-schema" / f"v{version}.0-local-strict"


@cache
def validator(version: str, api: str, kind: str) -> jsonschema_rs.Draft202012Validator:
    """Return what knows every field of a kind; a further field is a fault."""
    folder = schemas(version)
    name = f"{kind}-{api.replace('.k8s.io', '').replace('/', '-')}.json".lower()
    shared = json.loads((folder / "_definitions.json").read_bytes())
    return jsonschema_rs.Draft202012Validator(
        json.loads((folder / name).read_bytes()), retriever=lambda _: shared
    )


def faults(version: str, one: Resource) -> list[str]:
    found = validator(version, one["apiVersion"], one["kind"]).iter_errors(one)
    return [f"{one['metadata']['name']}: {each.instance_path}: {each.message}" for each in found]


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@every_way
def test_kubernetes_takes_each_resource(way: str, version: str) -> None:
    """No field is unknown to Kubernetes, or of another type, in the oldest release that we name and
    in a new one.
    """
    checked = [one for one in resources(way) if one["apiVersion"] != OPERATOR]
    assert len(checked) > 8
    assert [fault for one in checked for fault in faults(version, one)] == []


def test_a_misspelt_field_is_seen() -> None:
    """The check can fail, deep in a pod too."""
    broken = json.loads(json.dumps(named("small", "Deployment", "-worker")))
    container(broken)["securityContext"]["readOnlyRootFileSystem"] = True
    assert len(faults(NEWEST, broken)) == 1


def test_the_oldest_release_is_the_charts() -> None:
    """Helm refuses a cluster that is older than the one whose schemas are checked."""
    chart = yaml.safe_load((ROOT / "deploy/helm/driftgauge/Chart.yaml").read_text())
    assert chart["kubeVersion"] == f">={OLDEST}.0-0"


@every_way
def test_names_are_there_once(way: str) -> None:
    """No resource takes the place of another one."""
    names = [(one["kind"], one["metadata"]["name"]) for one in resources(way)]
    assert len(names) == len(set(names))


@every_way
def test_services_and_budgets_find_their_pods(way: str) -> None:
    """What selects pods selects those of one workload, by ports that these have."""
    workloads = of_kind(way, *KINDS)
    for service in of_kind(way, "Service"):
        (found,) = selected(service["spec"]["selector"], workloads)
        ports = {port["name"] for port in container(found)["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    for budget in of_kind(way, "PodDisruptionBudget"):
        assert len(selected(budget["spec"]["selector"]["matchLabels"], workloads)) == 1
        assert budget["spec"]["maxUnavailable"] == 1
    for policy in of_kind(way, "NetworkPolicy"):
        (found,) = selected(policy["spec"]["podSelector"]["matchLabels"], workloads)
        ports = {port["name"] for port in container(found)["ports"]}
        (rule,) = policy["spec"]["ingress"]
        assert {port["port"] for port in rule["ports"]} == ports
    for workload in workloads:
        assert pod(workload).get("topologySpreadConstraints", []) == [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": workload["spec"]["selector"],
            }
            for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
            if workload in ours(way)
        ]


def selected(labels: dict[str, str], workloads: list[Resource]) -> list[Resource]:
    return [
        one
        for one in workloads
        if labels.items() <= one["spec"]["template"]["metadata"]["labels"].items()
    ]


@every_way
def test_each_pod_is_guarded(way: str) -> None:
    """Every workload has a NetworkPolicy for both directions."""
    policies = of_kind(way, "NetworkPolicy")
    guarded = [policy["spec"]["podSelector"] for policy in policies]
    workloads = of_kind(way, *KINDS)
    assert all(one["spec"]["selector"] in guarded for one in workloads)
    assert all(set(one["spec"]["policyTypes"]) == {"Ingress", "Egress"} for one in policies)


@every_way
def test_the_api_has_the_service_that_names_its_pods(way: str) -> None:
    """A StatefulSet's Service is there, without an address of its own."""
    for one in of_kind(way, "StatefulSet"):
        name = one["spec"]["serviceName"]
        (service,) = [s for s in of_kind(way, "Service") if s["metadata"]["name"] == name]
        assert service["spec"]["clusterIP"] == "None"


@pytest.mark.parametrize("way", ["production", "chart, whole"])
def test_the_autoscaler_finds_the_api(way: str) -> None:
    """It scales the API's StatefulSet, which names no number of pods itself."""
    (scaler,) = of_kind(way, "HorizontalPodAutoscaler")
    api, _ = ours(way)
    target = scaler["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == (api["kind"], api["metadata"]["name"])
    assert "replicas" not in api["spec"]
    assert scaler["spec"]["minReplicas"] >= 2
    assert container(api)["resources"]["requests"]["cpu"]


@pytest.mark.parametrize("way", ["production", "chart, whole"])
def test_monitors_find_every_pod_and_name_the_jobs_of_the_rules(way: str) -> None:
    """Each job of the example configuration is scraped, by a Service that has a pod ready or not,
    with a key of a Secret.
    """
    jobs = []
    for monitor in of_kind(way, "ServiceMonitor"):
        spec = monitor["spec"]
        wanted = spec["selector"]["matchLabels"].items()
        (service,) = [
            one for one in of_kind(way, "Service") if wanted <= one["metadata"]["labels"].items()
        ]
        jobs.append(service["metadata"]["labels"][spec["jobLabel"]])
        assert service["spec"]["publishNotReadyAddresses"] is True
        (endpoint,) = spec["endpoints"]
        assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
        assert endpoint["authorization"]["credentials"] == {
            "name": "driftgauge-scrape",
            "key": "key",
        }
    example = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    assert sorted(jobs) == sorted(job["job_name"] for job in example["scrape_configs"])


@pytest.mark.parametrize("way", ["production", "chart, whole"])
def test_the_operators_rules_are_the_rules(way: str) -> None:
    """The Prometheus operator is given the rules that promtool tries, word by word."""
    (resource,) = of_kind(way, "PrometheusRule")
    given = [
        (group["name"], rule) for group in resource["spec"]["groups"] for rule in group["rules"]
    ]
    assert given == grouped()


def grouped() -> list[tuple[str, Any]]:
    files = ("recording", "drift", "blind")
    texts = [(ROOT / "deploy/prometheus" / f"{name}.yml").read_text() for name in files]
    groups = [group for text in texts for group in read(text)[0]["groups"]]
    found = [(group["name"], rule) for group in groups for rule in group["rules"]]
    assert len(found) == len(list(rules()))
    return found
