"""What boards and rules ask Prometheus for, and the names in it."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from deploy.boards.__main__ import FOLDER
from tests.deploy.prometheus import DEPLOYED

SELECTOR = re.compile(r"\b((?:model:)?(?:driftgauge|process)_[\w:]+|up)(\{[^}]*\})?")
MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
GROUPED = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")
VARIABLE = re.compile(r"\$\{?(\w+)")
LEGEND = re.compile(r"\{\{\s*(\w+)\s*\}\}")
BUILT_IN = {"__rate_interval", "__range", "__all"}
"""Variables that Grafana itself fills in."""


@dataclass(frozen=True)
class Asked:
    """An expression, and where it stands.

    Parameters
    ----------
    where
        Board and panel, or file and rule.
    labels
        Labels that its series have, since a legend names them.
    """

    where: str
    expression: str
    labels: frozenset[str] = frozenset()

    @property
    def selectors(self) -> list[tuple[str, str]]:
        """Each metric with its matchers in braces, or nothing."""
        return [(name, matchers or "") for name, matchers in SELECTOR.findall(self.expression)]

    @property
    def grouped(self) -> set[str]:
        """Labels that it groups or joins by."""
        found = GROUPED.findall(self.expression)
        return {name.strip() for names in found for name in names.split(",")} - {""}

    def filled(self, chosen: Mapping[str, str]) -> str:
        """Return the expression with variables filled in, as Grafana does."""
        return VARIABLE.sub(lambda found: chosen[found[1]], self.expression)


def boards() -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def panels(board: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def of_boards() -> Iterator[Asked]:
    for name, board in boards().items():
        for panel in panels(board):
            for target in panel["targets"]:
                labels = frozenset(LEGEND.findall(target["legendFormat"]))
                yield Asked(f"{name}: {panel['title']}", target["expr"], labels)


def rules() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each rule with the name of its file."""
    for name in yaml.safe_load((DEPLOYED / "prometheus.yml").read_text())["rule_files"]:
        for group in yaml.safe_load((DEPLOYED / name).read_text())["groups"]:
            yield from ((name, rule) for rule in group["rules"])


def of_rules() -> Iterator[Asked]:
    for name, rule in rules():
        yield Asked(f"{name}: {rule.get('alert') or rule['record']}", rule["expr"])
