"""`driftgauge slice`."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import click
import msgspec

from driftgauge.consumer.commands.compare import deliver, exit_code, report_options
from driftgauge.consumer.commands.kept.opened import (
    opened_archive,
    policy_of,
    query_options,
    require_model,
    time_of,
)
from driftgauge.consumer.commands.tables import show_table
from driftgauge.shared.errors import DriftgaugeError, ModelNotFound
from driftgauge.shared.local.finding import located_settings
from driftgauge.shared.wording.numbers import figure, with_unit
from driftgauge.shared.wording.titles import title

if TYPE_CHECKING:
    from driftgauge.consumer.slicing.reading import Reading
    from driftgauge.consumer.slicing.searching import WorstSlices
    from driftgauge.shared.contract.snapshot import Performance, Snapshot
    from driftgauge.shared.versions.manifest import PublishedVersion


@click.command()
@click.argument("model")
@click.argument("condition", required=False)
@click.option(
    "--worst",
    type=click.IntRange(1, 50),
    is_flag=False,
    flag_value=5,
    metavar="[N]",
    help="Search the N worst slices of up to two features instead.  [5]",
)
@click.option("--version", help="The only version whose rows are read; default: all.")
@click.option(
    "--against",
    type=click.Choice(["rest", "reference"]),
    default="rest",
    show_default=True,
    help="What the slice is held against: the other rows, or the reference of its version.",
)
@query_options
@report_options
def slice(  # noqa: A001  the command's name
    model: str,
    condition: str | None,
    worst: int | None,
    since: str | None,
    until: str | None,
    version: str | None,
    against: Literal["rest", "reference"],
    html: Path | None,
    fail_on: Literal["warning", "critical"],
    *,
    as_json: bool,
    **bounds: Any,
) -> None:
    """Compare the archived rows of MODEL that fulfil CONDITION with all others.

    CONDITION is one SQL expression over the columns of a prediction, such as "region = 'north' and
    age < 30". Exit codes are those of compare; 1 of --worst is that a slice is named.
    """
    if (condition is None) == (worst is None):
        raise click.UsageError("Give either a condition or --worst.")
    if worst is not None and (html is not None or against == "reference"):
        raise click.UsageError("--html and --against are of a condition, not of --worst.")
    reading = _reading(model, since, until, version, bounds)
    if worst is not None:
        _search(reading, worst, as_json=as_json)
    assert condition is not None  # noqa: S101  click has looked
    from driftgauge.consumer.slicing.comparing import Asked, against_reference, against_rest
    from driftgauge.consumer.slicing.condition import checked
    from driftgauge.consumer.slicing.rows import without

    chosen_by = checked(condition)
    with reading.opened(latest=against == "reference") as opened:
        asked = Asked(
            model,
            chosen_by,
            opened.versions,
            time.time_ns() // 1_000_000,
            policy_of(model),
        )
        chosen = opened.side(chosen_by)
        schema = without(opened.columns, chosen_by)
        if against == "reference":
            published = _published(model, asked.version)
            found = against_reference(asked, published, schema, chosen)
        else:
            others = opened.side(chosen_by, inside=False)
            found = against_rest(asked, schema, chosen, others)
    deliver(found, html, as_json=as_json)
    if not as_json:
        _show_rest(found)
    sys.exit(exit_code(found, fail_on))


def _reading(
    model: str, since: str | None, until: str | None, version: str | None, bounds: dict[str, Any]
) -> "Reading":
    from driftgauge.consumer.slicing.reading import Reading
    from driftgauge.shared.archive.scan import Range

    store = opened_archive()
    require_model(store, model)
    wanted = Range(model, time_of(since, "--since"), time_of(until, "--until"))
    return Reading(
        store,
        wanted,
        version,
        lambda said: click.echo(said, err=True),
        memory_mb=bounds["memory"],
        seconds=bounds["timeout"],
    )


def _search(reading: "Reading", most: int, *, as_json: bool) -> NoReturn:
    """Print the worst slices."""
    from driftgauge.consumer.slicing.searching import search

    with reading.opened() as opened:
        found = search(opened.columns, opened.side(None), most)
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        _show_worst(found)
    sys.exit(1 if any(one.worse for one in found.slices) else 0)


def _show_worst(found: "WorstSlices") -> None:
    rows = [
        [
            one.condition,
            f"{one.rows:,}",
            _number(one.value),
            "" if one.low is None else f"{_number(one.low)} to {_number(one.high)}",
            _number(one.rest),
            f"{one.p_value:.2g}",
            "worse" if one.worse else "may be chance",
        ]
        for one in found.slices
    ]
    heads = ("condition", "rows", title(found.metric), "95 %", "rest", "p (Holm)", "")
    show_table(heads, rows)
    click.echo(
        f"{found.looked:,} slices of up to two of {found.features} features were looked at, on one "
        f"half of {found.rows:,} labelled rows. The figures are of the other half, which had no "
        f"say in the choice. The probability that any slice is called worse that is not is at most "
        f"{found.level:g}."
    )


def _published(model: str, version: str) -> "PublishedVersion":
    from driftgauge.shared.registry.opening import registry_of

    try:
        return registry_of(located_settings()).load(model, version)
    except DriftgaugeError as error:
        raise ModelNotFound(
            f"The reference of {model} {version} is not in the registry here ({error}); set "
            f"DRIFTGAUGE_REGISTRY_DIR or DRIFTGAUGE_REGISTRY_URL, or compare with --against rest."
        ) from error


def _show_rest(found: "Snapshot") -> None:
    """Print the performance, and what is to be known of the rows."""
    if found.performance is not None:
        _show_performance(found.performance)
    else:
        click.echo("No label of these rows is archived, so nothing is known of the performance.")
    for note in found.notes:
        click.echo(note)


def _show_performance(performance: "Performance") -> None:
    rows = [
        [
            title(one.name),
            _number(one.value, one.unit),
            "" if one.low is None else f"{_number(one.low)} to {_number(one.high)}",
            _number(one.baseline, one.unit),
            f"{one.n:,}",
            one.note,
        ]
        for one in performance.metrics
    ]
    show_table(("metric", "slice", "95 %", "held against", "labelled rows", "note"), rows)


def _number(value: float | None, unit: str = "") -> str:
    return "-" if value is None else with_unit(figure(value), unit)
