"""Notifications about ordered columns: real rows in their real order, through judging, a pane a
day.

    python -m benchmarks.detection.notifications [--quick] [--data FOLDER]

- In a year: the first 16 weeks are the reference, all that follows is judged. Real processes change
  through the year, so these are drifts; the question is how often people are notified of them. All
  transitions of one midnight are one message.
- A new drift: 16 weeks of reference, 5 weeks as they are, then one continuous feature moves by .5
  standard deviations. Of those that were not in alarm the day before: its PSI is above its
  threshold within 7 days, and a message names it.

The judging is the product's; injection and scoring live here.
"""

from pathlib import Path

import click
import numpy as np
from rich.progress import track

from benchmarks.detection.ordered import (
    DATA,
    REFERENCE_WEEKS,
    SHIFT_SD,
    Rows,
    _continuous,
    _judged,
    bike,
    profile_of,
    share,
    steel,
    timeline,
)
from benchmarks.results import ResultRow, write
from driftgauge.consumer.judging.advance import Rejudging, Transitions
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.ordered.days import DAY_MS
from driftgauge.consumer.judging.ordered.order import calibrated
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.pane import Block, Pane, pack_counts
from driftgauge.shared.reference.profile import NumericReference
from driftgauge.shared.rules.drift import PSI_WEEK

BEFORE_DAYS, AFTER_DAYS = 35, 14
NO_LATENCY = pack_counts(np.zeros(64, dtype=np.int64))


def judged(version: JudgedVersion, stream: Rows) -> list[Alert]:
    """Judge rows, a pane a day; return the transitions of the ordered columns."""
    found = (alert for moment in transitions(version, stream) for alert in moment.alerts)
    return [alert for alert in found if alert.rule == PSI_WEEK.name]


def transitions(version: JudgedVersion, stream: Rows) -> list[Transitions]:
    """Judge rows, a pane a day; return the transitions of each."""
    profile, days = version.reference, stream.times // DAY_MS
    cells = [
        column.cells(values) for column, values in zip(profile.columns, stream.columns, strict=True)
    ]
    every = np.stack(cells) + profile.offsets[:-1, None]
    judge = Rejudging("real", {"1.0.0": version}, JudgingPolicy())
    found: list[Transitions] = []
    for number, day in enumerate(np.unique(days).tolist(), 1):
        chosen = every[:, days == day]
        rows, counts = (
            chosen.shape[1],
            np.bincount(chosen.ravel(), minlength=int(profile.offsets[-1])),
        )
        block = Block(rows, pack_counts(counts), NO_LATENCY, {"online": rows})
        total = int((days <= day).sum())
        pane = Pane(
            0, number, day * DAY_MS, (day + 1) * DAY_MS, rows, total, None, {"1.0.0": block}
        )
        found.append(judge.take(pane))
    return found


def version_of(rows: Rows, origin: int, seed: int = 0) -> JudgedVersion:
    """Calibrate on the weeks from a day on."""
    reference = rows.part(origin, origin + 7 * REFERENCE_WEEKS)
    profile = profile_of(reference)
    return JudgedVersion(
        rows.schema, profile, calibrated(profile, timeline(profile, reference), seed=seed)
    )


def notifications_in_a_year(rows: Rows) -> dict[str, str]:
    """Count the notifications after the reference's weeks, by their kind."""
    stream = rows.part(7 * REFERENCE_WEEKS, rows.days + 1)
    alerts = judged(version_of(rows, 0), stream)
    told = [alert for alert in alerts if alert.notify]
    years = (rows.days - 7 * REFERENCE_WEEKS) / 365

    def rate(chosen: list[Alert]) -> str:
        return f"{len({alert.group.id for alert in chosen if alert.group}) / years:.0f}"

    return {
        "messages a year": rate(told),
        "  that something fires, or became critical": rate(
            [alert for alert in told if alert.state == "firing" and alert.change != "reminder"]
        ),
        "  reminders": rate([alert for alert in told if alert.change == "reminder"]),
        "  that something is over": rate([alert for alert in told if alert.state == "resolved"]),
        "columns named in them a year": f"{len(told) / years:.0f}",
    }


def new_drift(rows: Rows, seed: int) -> tuple[bool, bool, bool]:
    """Return whether a feature was in alarm the day before it moves, and whether it is within 7
    days, and whether people are notified of it.
    """
    random = np.random.default_rng(seed)
    known = 7 * REFERENCE_WEEKS
    origin = int(random.integers(0, rows.days - known - BEFORE_DAYS - AFTER_DAYS))
    version = version_of(rows, origin, seed)
    stream = rows.part(origin + known, origin + known + BEFORE_DAYS + AFTER_DAYS)
    place = int(random.choice(_continuous(rows)))
    moved_at = (int(stream.times[0]) // DAY_MS + BEFORE_DAYS) * DAY_MS
    column, calibration = version.reference.columns[place], version.calibration
    assert isinstance(column, NumericReference)  # only such are chosen
    assert calibration is not None  # it was made above
    values = np.asarray(stream.columns[place]) + SHIFT_SD * (column.sd or 0) * (
        stream.times >= moved_at
    )
    shifted = Rows(
        rows.schema, (*stream.columns[:place], values, *stream.columns[place + 1 :]), stream.times
    )
    psi, thresholds = _judged(version.reference, calibration, shifted)
    above = psi[:, place] > thresholds[place]
    last = BEFORE_DAYS - 7
    told = any(
        alert.notify
        and alert.feature == column.name
        and alert.state == "firing"
        and alert.change != "reminder"
        and moved_at
        < alert.updated
        <= moved_at + 8 * DAY_MS  # the pane that begins a day ends with it
        for alert in judged(version, shifted)
    )
    return bool(above[last]), bool(above[last + 1 : last + 8].any()), told


SMOKE = ("--seeds", "1")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option("--quick", is_flag=True, help="15 seeds.")
@click.option("--seeds", default=60, show_default=True)
@click.option(
    "--data", type=click.Path(path_type=Path), default=DATA, help="Folder of the public files."
)
def main(data: Path, seeds: int, *, quick: bool) -> None:
    """Measure, print a table, write benchmarks/results/notifications.json."""
    if not data.is_dir():
        raise click.ClickException(
            f"The real data are not there: {data}. Put steel.csv and bike_sharing_hour.csv into it."
        )
    seeds, found = 15 if quick else seeds, list[ResultRow]()
    for name, rows in (("steel", steel(data)), ("bike", bike(data))):
        found += [
            {"data": name, "figure": said, "measured": value}
            for said, value in notifications_in_a_year(rows).items()
        ]
        drifts = [new_drift(rows, seed) for seed in track(range(seeds), f"{name}: a new drift")]
        fresh = [(above, told) for before, above, told in drifts if not before]
        for said, which in (
            (".5 sd: above its threshold within 7 days", 0),
            (".5 sd: notified within 7 days", 1),
        ):
            found.append(
                {"data": name, "figure": said, "measured": share([pair[which] for pair in fresh])}
            )
    write("notifications", f"{REFERENCE_WEEKS} weeks of reference, {seeds} seeds", found)


if __name__ == "__main__":
    main()
