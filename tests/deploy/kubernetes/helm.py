"""Renders the chart by Helm's own code, in a process of its own: a list of values as JSON on
standard input, for each what was made of it or why nothing was.

Helm is a library of Go, whose threads and memory would stay in the process that loads it.
"""

import json
import sys
from typing import Any

import helm_python

from tests.places import ROOT

CHART = ROOT / "deploy" / "helm" / "driftgauge"


def rendered(chart: helm_python.Chart, values: dict[str, Any], release: str) -> dict[str, Any]:
    """Return the files by their names, or `refused` with the reason."""
    try:
        chart.validate_schema(values)
        return {"files": chart.render(values, name=release, namespace="monitoring")}
    except helm_python.HelmError as error:
        return {"refused": str(error)}


def main() -> None:
    cases = json.load(sys.stdin)
    with helm_python.Chart.load(str(CHART)) as chart:
        answers = [rendered(chart, case["values"], case["release"]) for case in cases]
    json.dump({"answers": answers, "lint": helm_python.lint(str(CHART))}, sys.stdout)


if __name__ == "__main__":
    main()
