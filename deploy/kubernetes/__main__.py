"""Writes the rules for Prometheus as its operator reads them: `python -m deploy.kubernetes`.

The rules stand once, in deploy/prometheus, where promtool tries them. The Helm chart reads those
files; kustomize reads no file of another folder into a resource, so it is given this copy.
"""

import sys
from pathlib import Path
from typing import Final

import yaml

RULES: Final = Path(__file__).parents[1] / "prometheus"
NAMES: Final = ("recording.yml", "drift.yml", "blind.yml")
FILE: Final = Path(__file__).parent / "components" / "monitoring" / "rules.yaml"
HEAD: Final = """\
# Made of deploy/prometheus by `python -m deploy.kubernetes`; a test holds both together.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: driftgauge
  labels:
    app.kubernetes.io/name: driftgauge
"""


def text() -> str:
    """Return the rules of all files as one resource."""
    groups = [
        group
        for name in NAMES
        for group in yaml.safe_load((RULES / name).read_text(encoding="utf-8"))["groups"]
    ]
    spec = {"spec": {"groups": groups}}
    return HEAD + yaml.safe_dump(spec, sort_keys=False, allow_unicode=True, width=1000)


def main(file: Path = FILE) -> None:
    """Write the resource into a file."""
    file.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"{file}\n")


if __name__ == "__main__":
    main()
