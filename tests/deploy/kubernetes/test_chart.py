"""The Helm chart: Helm takes it, it gives the pods of the base, and refuses what cannot work."""

import json
from typing import Any

import pytest
from pydantic import SecretStr

import deploy.kubernetes.__main__ as rules
from docs.making.settings import variable
from driftgauge.shared.settings import Settings
from tests.deploy.kubernetes.rendered import CHART, WHOLE, helm, of_kind, ours, settings

pytestmark = pytest.mark.long  # they need the extra `deploy`


def test_helm_finds_no_fault() -> None:
    """`helm lint` has neither errors nor warnings; that there is no icon is but a word."""
    told = helm()["lint"]
    assert told["errors"] == []
    assert [one["error"] for one in told["messages"]] == ["icon is recommended"]


def test_the_chart_runs_the_pods_of_the_base() -> None:
    """Who changes from kustomize to Helm gets the same containers, with the same settings."""
    for mine, base in zip(ours("chart"), ours("small"), strict=True):
        assert plain(mine) == plain(base)
    assert settings("chart") == settings("small")


def plain(workload: dict[str, Any]) -> dict[str, Any]:
    """Return a workload without the names that differ: labels, the ConfigMap's, and defaults."""
    spec: dict[str, Any] = json.loads(json.dumps(workload["spec"]))
    inner = spec["template"]["spec"]
    del spec["selector"], spec["template"]["metadata"]
    spec.setdefault("replicas", 1)
    for constraint in inner["topologySpreadConstraints"]:
        del constraint["labelSelector"]
    (only,) = inner["containers"]
    only.pop("imagePullPolicy", None)
    only["envFrom"][0]["configMapRef"]["name"] = ""
    for named in (inner["volumes"], only["volumeMounts"]):
        named.sort(key=lambda one: one["name"])
    return spec


@pytest.mark.parametrize(
    ("case", "word"),
    [
        ("unshared registry", "several API pods share one registry"),
        ("unshared registry, scaled", "several API pods share one registry"),
        ("secret", "DRIFTGAUGE_REDIS_URL"),
        ("own setting", "DRIFTGAUGE_WORKER_PORT"),
        ("unknown value", "replica"),
    ],
)
def test_what_cannot_work_is_refused(case: str, word: str) -> None:
    """A registry that others cannot mount, a secret among the values, a setting that the pods rely
    on, and a misspelt value are told before anything is installed.
    """
    assert word in helm()[case].get("refused", "")


def test_values_take_no_secret() -> None:
    """Every setting that is a secret is refused among the values."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    refused = schema["properties"]["settings"]["propertyNames"]["not"]["anyOf"]
    names = {name for one in refused for name in one["enum"]}
    secret = {
        variable(name)
        for name, field in Settings.model_fields.items()
        if "SecretStr" in str(field.annotation)
    }
    assert SecretStr.__name__ in str(Settings.model_fields["pii_key"].annotation)
    assert secret | {variable("redis_url")} <= names
    ours_named = {name for name in names if name.startswith("DRIFTGAUGE_")}
    assert ours_named <= {variable(name) for name in Settings.model_fields}


def test_a_policy_is_handed_on_as_it_is() -> None:
    """What looks like a template in it stays text, and the worker is told where it is."""
    (policy,) = [
        one for one in of_kind("chart, whole", "ConfigMap") if "policy.toml" in one["data"]
    ]
    assert policy["data"]["policy.toml"] == WHOLE["policy"]
    worker = ours("chart, whole")[1]["spec"]["template"]["spec"]
    (volume,) = [one for one in worker["volumes"] if one["name"] == "policy"]
    assert volume["configMap"]["name"] == policy["metadata"]["name"]
    (mount,) = [one for one in worker["containers"][0]["volumeMounts"] if one["name"] == "policy"]
    told = settings("chart, whole")["DRIFTGAUGE_POLICY_FILE"]
    assert told == f"{mount['mountPath']}/policy.toml"


def test_the_rules_of_kustomize_are_written_anew() -> None:
    """`python -m deploy.kubernetes` was run after the last change of a rule."""
    assert rules.FILE.read_text() == rules.text()


def test_the_chart_has_the_rules_and_no_copy() -> None:
    """Its files are those that promtool tries."""
    for name in rules.NAMES:
        assert (CHART / "rules" / name).resolve() == (rules.RULES / name).resolve()
