"""A comparison of two samples as a table for a terminal, and as plain text for whatever has none.

Untrusted text is shortened nowhere, and what steers a terminal in it is made visible.
"""

from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from driftgauge.shared.contract.snapshot import FeatureReport, Snapshot
from driftgauge.shared.reference.units import unit_in
from driftgauge.shared.wording.numbers import score
from driftgauge.shared.wording.titles import severity_words
from driftgauge.shared.wording.visible import visible

SHOWN: Final = {"psi": "PSI", "ks": "KS", "jensen_shannon": "JS"}
COLOURS: Final = {
    "critical": "bold red",
    "warning": "yellow",
    "unreadable": "yellow",
    "ok": "green",
}
LEAST_WIDTH: Final = 110
"""Characters of a line that goes to a file."""


def as_table(snapshot: Snapshot) -> Table:
    """Return a comparison as a table: a row for each column of the samples."""
    table = Table("feature", "verdict", *SHOWN.values(), "why", box=None, pad_edge=False)
    for column in table.columns[:-1]:
        column.no_wrap = True
    for feature in snapshot.features:
        lacking = feature.severity == "insufficient_data"
        values = {} if lacking else {found.name: found.value for found in feature.statistics}
        table.add_row(
            Text.assemble(visible(feature.name), (_unit(feature), "dim")),
            Text(severity_words(feature.severity), COLOURS.get(feature.severity, "")),
            *(_number(values.get(name)) for name in SHOWN),
            Text("" if lacking else visible(feature.reason)),
        )
    return table


def as_text(snapshot: Snapshot) -> str:
    """Return a comparison as plain text: the verdict, then the table.

    Examples
    --------
    >>> from driftgauge.shared.reporting.example import EXAMPLE
    >>> print(as_text(EXAMPLE))
    No drift.
    <BLANKLINE>
    feature  verdict  PSI  KS  JS  why
    """
    console = Console(width=LEAST_WIDTH, color_system=None, force_terminal=False)
    with console.capture() as written:
        console.print(as_table(snapshot))
    lines = (line.rstrip() for line in written.get().splitlines())
    return "\n".join((visible(snapshot.verdict), "", *lines))


def _number(value: float | None) -> str:
    return "-" if value is None else score(value)


def _unit(feature: FeatureReport) -> str:
    """Return the unit behind a feature's name, unless it is in that already."""
    shown = feature.unit if feature.unit != unit_in(feature.name) else ""
    return f" {visible(shown)}" if shown else ""
