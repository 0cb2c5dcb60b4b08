"""Reads what Prometheus would read, by other people's parsers."""

import os
import shutil
import subprocess

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from driftgauge.shared.metrics.text import Exposition, whole

Metrics = dict[str, Metric]


def parse(text: str) -> Metrics:
    """Read an exposition strictly: every family once, with help and type."""
    families = list(text_string_to_metric_families(text))
    metrics = {family.name: family for family in families}
    assert len(metrics) == len(families)
    assert all(family.documentation and family.type != "unknown" for family in families)
    return metrics


def parse_openmetrics(text: str) -> Metrics:
    """Read an exposition of OpenMetrics, whose parser refuses what is not canonical."""
    families = list(openmetrics_families(text))
    assert all(family.documentation and family.type != "unknown" for family in families)
    return {family.name: family for family in families}


def read(text: Exposition) -> Metrics:
    """Read samples in both formats, which say the same."""
    plain = parse(whole([text.written("text")], "text").decode())
    strict = parse_openmetrics(whole([text.written("openmetrics")], "openmetrics").decode())
    assert {name: one.samples for name, one in plain.items()} == {
        name: one.samples for name, one in strict.items()
    }
    return plain


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """Return the value of the one sample that has a name and these labels."""
    (found,) = [
        one
        for family in metrics.values()
        for one in family.samples
        if one.name == name and labels.items() <= one.labels.items()
    ]
    return float(found.value)


def check_by_promtool(text: bytes) -> None:
    """Let Prometheus's own linter check names, kinds, help and samples of a text."""
    promtool = shutil.which("promtool")
    if promtool is None:
        assert os.environ.get("CI") != "true", "CI must have promtool: apt-get install prometheus"
        pytest.skip("promtool is not installed (Debian's package prometheus)")
    said = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, check=False, timeout=60
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, b"", b"")
