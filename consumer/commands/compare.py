"""`driftgauge compare`: compares two files instead of a stream with its reference."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import click
import msgspec
from rich.console import Console
from rich.text import Text

from driftgauge.consumer.commands.column_options import choices_of, table_options
from driftgauge.consumer.commands.tables import printable
from driftgauge.consumer.commands.waiting import waiting
from driftgauge.shared.contract.snapshot import Snapshot

NOT_ENOUGH_ROWS = 3
"""Exit code if nothing could be judged: neither drift nor none was found."""
NOT_COMPARED = 4
"""Exit code if no drift was found, but not every column could be compared."""
_REPORT = (
    click.option(
        "--html",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Write the report to this file.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print the snapshot as JSON."),
    click.option(
        "--fail-on",
        type=click.Choice(["warning", "critical"]),
        default="warning",
        show_default=True,
        help="Least severity that makes the exit code 1.",
    ),
)


def report_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of what is made of a comparison."""
    for option in reversed(_REPORT):
        command = option(command)
    return command


@click.command()
@click.argument("reference", type=click.Path(path_type=Path))
@click.argument("current", type=click.Path(path_type=Path))
@click.option(
    "--features", multiple=True, help="Column to compare; repeatable, or with commas.  [all]"
)
@click.option(
    "--exclude",
    multiple=True,
    help="Column that is shown but not judged; repeatable, or with commas.",
)
@table_options
@report_options
def compare(
    reference: Path,
    current: Path,
    features: tuple[str, ...],
    exclude: tuple[str, ...],
    html: Path | None,
    fail_on: Literal["warning", "critical"],
    *,
    as_json: bool,
    **said: Any,
) -> None:
    """Compare the rows of two files (CSV, JSON lines, Parquet or Arrow), by the code that judges
    streams.

    Exit code: 0 no drift found, 1 drift, 3 too few rows to judge, 4 no drift, but a column cannot
    be compared, 65 a file cannot be used.
    """
    from driftgauge.consumer.offline.file_comparison import compare_files

    with waiting(f"reading and comparing {reference.name} and {current.name}") as at:
        found = compare_files(
            reference,
            current,
            choices_of(said),
            features=features,
            exclude=exclude,
            created=time.time_ns() // 1_000_000,
            at=at,
        )
    snapshot = found.snapshot
    for remark in found.remarks:
        click.echo(printable(remark), err=True)
    deliver(snapshot, html, as_json=as_json)
    sys.exit(exit_code(snapshot, fail_on))


def deliver(snapshot: Snapshot, html: Path | None, *, as_json: bool) -> None:
    """Write the report of a comparison to a file, and print it."""
    if html is not None:
        from driftgauge.shared.reporting.html import render_html

        html.write_text(render_html(snapshot), encoding="utf-8")
    if as_json:
        click.echo(msgspec.json.encode(snapshot))
    else:
        _show(snapshot)


def exit_code(snapshot: Snapshot, fail_on: Literal["warning", "critical"]) -> int:
    """Return what a comparison's command ends with."""
    if snapshot.severity in {"critical", fail_on}:
        return 1
    if any(feature.severity == "unreadable" for feature in snapshot.features):
        return NOT_COMPARED
    return NOT_ENOUGH_ROWS if snapshot.severity == "insufficient_data" else 0


def _show(snapshot: Snapshot) -> None:
    from driftgauge.shared.reporting.comparison import LEAST_WIDTH, as_table

    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, LEAST_WIDTH)
    console.print(as_table(snapshot))
    console.print(Text(printable(snapshot.verdict)))
