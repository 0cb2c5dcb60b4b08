"""`driftgauge compare`: compares two files instead of a stream with its reference."""

import sys
import time
from pathlib import Path
from typing import Literal

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from driftgauge.shared.contract.snapshot import Snapshot

NOT_ENOUGH_ROWS = 3
"""Exit code if there were too few rows to judge anything."""
SHOWN = {"psi": "PSI", "ks": "KS", "jensen_shannon": "JS"}
LEAST_WIDTH = 110
"""Least width, in characters, of the table that goes to a file."""
COLOURS = {"critical": "bold red", "warning": "yellow", "ok": "green"}


@click.command()
@click.argument("reference", type=click.Path(path_type=Path))
@click.argument("current", type=click.Path(path_type=Path))
@click.option("--features", default="", help="Columns to compare, with commas.  [default: all]")
@click.option("--exclude", default="", help="Columns that are shown but not judged, with commas.")
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the report to this file."
)
@click.option("--json", "as_json", is_flag=True, help="Print the snapshot as JSON.")
@click.option(
    "--fail-on",
    type=click.Choice(["warning", "critical"]),
    default="warning",
    show_default=True,
    help="Least severity that makes the exit code 1.",
)
def compare(
    reference: Path,
    current: Path,
    features: str,
    exclude: str,
    html: Path | None,
    fail_on: Literal["warning", "critical"],
    *,
    as_json: bool,
) -> None:
    """Compare the rows of two CSV files, by the code that judges streams.

    Exit code: 0 no drift found, 1 drift, 3 too few rows to judge, 65 a file cannot be used.
    """
    from driftgauge.consumer.offline.comparison import compare as compare_frames
    from driftgauge.shared.tables.reading import read_table

    before, after = read_table(reference), read_table(current)
    snapshot = compare_frames(
        before,
        after,
        features=_names(features) or None,
        exclude=_names(exclude),
        name=f"{reference.name} and {current.name}",
        created=time.time_ns() // 1_000_000,
    )
    new = [str(column) for column in after.columns if column not in before.columns]
    if new and not features:
        click.echo(
            f"Only {current} has these columns, so they are not compared: {', '.join(new)}.",
            err=True,
        )
    if html is not None:
        from driftgauge.shared.reporting.html import render_html

        html.write_text(render_html(snapshot), encoding="utf-8")
    if as_json:
        click.echo(msgspec.json.encode(snapshot))
    else:
        _show(snapshot)
    sys.exit(_exit_code(snapshot, fail_on))


def _names(given: str) -> list[str]:
    return [name for name in given.split(",") if name]


def _exit_code(snapshot: Snapshot, fail_on: Literal["warning", "critical"]) -> int:
    if snapshot.severity == "insufficient_data":
        return NOT_ENOUGH_ROWS
    return int(snapshot.severity in {"critical", fail_on})


def _show(snapshot: Snapshot) -> None:
    table = Table("feature", "verdict", *SHOWN.values(), "why", box=None, pad_edge=False)
    for column in table.columns:
        column.no_wrap = True
    for feature in snapshot.features:
        lacking = feature.severity == "insufficient_data"
        values = {} if lacking else {found.name: found.value for found in feature.statistics}
        table.add_row(
            Text(feature.name),
            Text(
                "too few rows" if lacking else feature.severity, COLOURS.get(feature.severity, "")
            ),
            *(_number(values.get(name)) for name in SHOWN),
            Text("" if lacking else feature.reason),
        )
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, LEAST_WIDTH)
    console.print(table)
    console.print(Text(snapshot.verdict))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
