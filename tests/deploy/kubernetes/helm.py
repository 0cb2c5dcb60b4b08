"""Renders the chart by Helm's own code, in a process of its own: a list of values as JSON on
standard input, for each what was made of it or why nothing was.

Helm is a library of Go, whose threads and memory would stay in the process that loads it.
"""

import json
import sys
from typing import Any

from tests.places import ROOT

CHART = ROOT / "deploy" / "helm" / "driftgauge"


def rendered(chart: Any, values: dict[str, Any], release: str, refusal: type[Exception]) -> Any:
    """Return the files by their names, or `refused` with the reason."""
    try:
        chart.validate_schema(values)
        return {"files": chart.render(values, name=release, namespace="monitoring")}
    except refusal as error:
        return {"refused": str(error)}


def main() -> None:
    import helm_python  # this module is imported where it is not installed

    cases = json.load(sys.stdin)
    with helm_python.Chart.load(str(CHART)) as chart:
        answers = [
            rendered(chart, case["values"], case["release"], helm_python.HelmError)
            for case in cases
        ]
    json.dump({"answers": answers, "lint": helm_python.lint(str(CHART))}, sys.stdout)


if __name__ == "__main__":
    main()
