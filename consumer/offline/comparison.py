"""Comparison of two samples instead of a stream: the monitor's statistics and rules on arrays and
data frames.

The same cells, statistics, rules and report as for a stream, for notebooks and pipelines. Nothing
here knows a clock, a file or Redis.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from driftgauge.consumer.judging.evaluating.budget import levels_of_one
from driftgauge.consumer.judging.evaluating.evaluation import Evaluation
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.reports.category_names import MOST_NAMES
from driftgauge.consumer.judging.reports.column_report import column_reports
from driftgauge.consumer.judging.snapshotting import verdict
from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.severity import Severity, worst
from driftgauge.shared.contract.snapshot import (
    CategoryRows,
    FeatureReport,
    Histogram,
    Snapshot,
    Window,
)
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.building import build_profile, counted
from driftgauge.shared.reference.columns.choices import IN_HAND, Choices, ColumnRow
from driftgauge.shared.reference.columns.recognising import recognised
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.frames import columns_of
from driftgauge.shared.reference.profile import (
    Column,
    ReferenceProfile,
)
from driftgauge.shared.reference.schema import RESERVED, Schema
from driftgauge.shared.statistics import STATISTICS
from driftgauge.shared.steps import At, silent, steps
from driftgauge.shared.tables.format import TableFormat
from driftgauge.shared.tables.frames import name_of, plain_frame, wrong_values

TOLD = 5
"""Most columns whose faults one message tells."""


def compare(
    reference: Any,
    current: Any,
    *,
    features: Sequence[Any] | None = None,
    exclude: Mapping[Any, str] | Sequence[Any] = (),
    schema: Schema | None = None,
    policy: JudgingPolicy | None = None,
    false_alarms: float = 0.01,
    name: str = "comparison",
    created: int = 0,
) -> Snapshot:
    """Compare two data frames, feature by feature.

    Parameters
    ----------
    reference, current
        Rows to compare with, and rows to judge: data frames of pandas, polars or PyArrow, each with
        at least one row. Columns of `current` that the reference does not have are left out. A
        name that is no text becomes one: 0 is `0`, and `("x", "mean")` is `x.mean`.
    features
        Columns to compare; default: all of the reference.
    exclude
        Columns that are shown but not judged; with reasons, if it is a mapping.
    schema
        Kinds of the features; default: inferred from the reference.
    policy
        Floors of PSI and least numbers of rows; default: those of the stream.
    false_alarms
        False alarms that one comparison may have on average, over all features and rules, if
        nothing drifted.
    name
        Name of the comparison, for its report.
    created
        Unix time (ms) for its report.

    Returns
    -------
    Snapshot
        `severity` is the worst of all features: `ok`, `warning`, `critical`, `unreadable`, or
        `insufficient_data`. A feature is unreadable if `current` lacks it, or one of the two holds
        something else than the other; the others are judged nevertheless.

    Raises
    ------
    BadData
        If there is no row, a named column is not in the reference, or no column can be compared.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> before = pd.DataFrame({"x": rng.normal(size=2000), "y": rng.normal(size=2000)})
    >>> after = before.assign(x=before.x + 1)
    >>> found = compare(before, after)
    >>> found.severity, [feature.severity for feature in found.features]
    ('critical', ['critical', 'ok'])
    """
    twice: tuple[set[str], set[str]] = set(), set()
    before, after = plain_frame(reference, twice[0]), plain_frame(current, twice[1])
    known = [*before.columns, *sorted(twice[0])]
    left_out = (
        {name_of(name): reason for name, reason in exclude.items()}
        if isinstance(exclude, Mapping)
        else {name_of(name): "excluded by the caller" for name in exclude}
    )
    wanted = _wanted(known, features, left_out) if schema is None else schema.names
    faults = dict.fromkeys(
        sorted((twice[0] | twice[1]) & {*wanted}), "the name stands for more than one column"
    )
    plan = Plan(wanted, left_out, faults=faults)
    if schema is None:
        for one in wanted:
            if one not in faults:
                plan.add(one, before[one], Choices())
    else:
        plan.features.extend(schema.features)
    return judge(
        before,
        after,
        plan,
        schema.table if schema is not None else TableFormat(),
        policy=policy,
        false_alarms=false_alarms,
        name=name,
        created=created,
    )


@dataclass
class Plan:
    """What is to be compared.

    Parameters
    ----------
    names
        The columns, in the order of the report.
    excluded
        Name to the reason why a column is shown, but not judged.
    features
        What the columns are, of those that can be compared.
    faults
        Name to what is wrong with a column that cannot.
    rows
        What was told of the columns when they were recognised.
    """

    names: Sequence[str]
    excluded: Mapping[str, str] = field(default_factory=dict)
    features: list[Feature] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    rows: list[ColumnRow] = field(default_factory=list)

    def add(self, name: str, cells: Any, choices: Choices) -> None:
        """Find out what a column of the reference is; if that cannot be, it is at fault."""
        if name in RESERVED:
            if name not in self.excluded:
                self.faults[name] = (
                    f"the name is taken, for {RESERVED[name]}; rename the column, or exclude it"
                )
            return
        try:
            found, row = recognised(name, cells, choices, IN_HAND)
        except BadData as error:
            self.faults[name] = str(error).rstrip(".")
            return
        self.rows.append(row)
        reason = self.excluded.get(name, found.excluded)
        self.features.append(msgspec.structs.replace(found, nullable=True, excluded=reason))


def judge(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    plan: Plan,
    table: TableFormat,
    *,
    policy: JudgingPolicy | None = None,
    false_alarms: float = 0.01,
    name: str = "comparison",
    created: int = 0,
    at: At = silent,
) -> Snapshot:
    """Compare two plain frames by a plan; `compare` says how.

    Parameters
    ----------
    table
        How texts among the values are written.
    at
        Told of each column.

    Raises
    ------
    BadData
        If there is no row, or no column can be compared.
    """
    for title, frame in (("reference", reference), ("current", current)):
        if not len(frame):
            raise BadData(f"The {title} has no rows; give at least one.")
    schema, columns = _columns(reference, current, plan, table, at)
    profile = build_profile(schema, [before for before, _ in columns], None, at)
    policy = policy or JudgingPolicy()
    judged = JudgedVersion(schema.stream, profile)
    evaluation = Evaluation(
        judged,
        cells_of(profile, [after for _, after in columns]),
        len(current),
        levels_of_one(policy, len(judged.watched), false_alarms),
        policy,
    )
    reports = [
        (with_names if report.kind == "categorical" else with_exact)(report, *values)
        for report, values in steps(
            "comparing", list(zip(column_reports(evaluation), columns, strict=True)), at
        )
    ]
    found = {report.name: report for report in reports}
    found |= {one: _unread(one, "unreadable", fault) for one, fault in plan.faults.items()}
    found |= {
        one: _unread(one, "excluded", reason)
        for one, reason in plan.excluded.items()
        if one not in found and one in plan.names
    }
    reports = [found[one] for one in plan.names if one in found]
    severity = worst(report.severity for report in reports) if reports else "insufficient_data"
    return Snapshot(
        id=name,
        model=name,
        version="",
        trigger="current",
        created=created,
        severity=severity,
        verdict=verdict(severity, reports, len(current)),
        window=Window(created, created, len(current), 1, len(current)),
        reference_rows=profile.rows,
        features=reports,
        prediction=None,
        alerts=[],
        events_per_day=float(len(current)),
    )


def _columns(
    reference: pd.DataFrame, current: pd.DataFrame, plan: Plan, table: TableFormat, at: At
) -> tuple[Schema, list[tuple[Column, Column]]]:
    """Return the columns that can be compared, reference and current; the others are noted in the
    plan.
    """
    usable: list[Feature] = []
    columns: list[tuple[Column, Column]] = []
    for feature in steps("reading", plan.features, at):
        if feature.name in plan.faults:
            continue
        try:
            alone = Schema((feature,), prediction=None, table=table)
        except BadData:  # personal, and dropped
            continue
        try:
            before, after = (
                counted(alone, _column(title, frame, alone), None)[0]
                for title, frame in (("reference", reference), ("current", current))
            )
        except BadData as error:
            plan.faults[feature.name] = str(error).rstrip(".")
        else:
            usable.append(feature)
            columns.append((before, after))
    if not usable:
        told = [f"{name}: {fault}" for name, fault in plan.faults.items()]
        raise BadData(f"No column can be compared. {'; '.join(told[:TOLD])}".rstrip(". ") + ".")
    return Schema(tuple(usable), prediction=None, table=table), columns


def _column(title: str, frame: pd.DataFrame, alone: Schema) -> list[Column]:
    """Return one column of a frame, in a list."""
    if alone.names[0] not in frame.columns:
        raise BadData(f"the {title} rows have no such column")
    wrong = wrong_values(alone.names[0], frame[alone.names[0]])
    if wrong is not None:
        raise BadData(
            f"{title}: {wrong.cells:,} of {wrong.of:,} cells hold no single value, such as a list"
        )
    try:
        return columns_of(frame, alone)
    except BadData as error:
        raise BadData(f"{title}: {error}") from error


def _unread(name: str, severity: Severity, reason: str) -> FeatureReport:
    """Report a column of which nothing was counted."""
    nothing = Histogram(None, [], [], [])
    return FeatureReport(name, "categorical", severity, reason, [], [], nothing, [], [])


def with_exact(report: FeatureReport, before: Column, after: Column) -> FeatureReport:
    """Replace what counts of cells only approximate by its value on the rows themselves."""
    one, two = (np.asarray(column, dtype=np.float64) for column in (before, after))
    one, two = one[~np.isnan(one)], two[~np.isnan(two)]
    found = []
    for statistic in report.statistics:
        exact = STATISTICS[statistic.name].exact
        found.append(
            statistic
            if exact is None or statistic.value is None
            else msgspec.structs.replace(statistic, value=exact(one, two), note="")
        )
    return msgspec.structs.replace(report, statistics=found)


def with_names(report: FeatureReport, before: Column, after: Column) -> FeatureReport:
    """Name the categories that came or went, which the rows themselves tell."""
    was, now = (pd.Series(column, dtype=object).value_counts() for column in (before, after))
    gone = was.drop(now.index, errors="ignore") * (len(after) / len(before))
    new = now.drop(was.index, errors="ignore")
    vanished, appeared = (
        [
            CategoryRows(str(name), round(float(rows), 3))
            for name, rows in part.head(MOST_NAMES).items()
        ]
        for part in (gone, new)
    )
    return msgspec.structs.replace(report, vanished=vanished, appeared=appeared)


def _wanted(
    known: Sequence[str], features: Sequence[object] | None, excluded: Mapping[str, str]
) -> list[str]:
    """Return the names of the columns to compare.

    Raises
    ------
    BadData
        If the reference lacks one that was named.
    """
    names = [*known] if features is None else [*map(name_of, features)]
    absent = [name for name in (*names, *excluded) if name not in known]
    if absent:
        raise BadData(
            f"The reference has no column {', '.join(absent)}; it has: {', '.join(known)}."
        )
    return names


def cells_of(profile: ReferenceProfile, columns: list[Column]) -> Ints:
    """Count the rows in each cell of the profile, all columns in one vector."""
    counted = [
        np.bincount(reference.cells(values), minlength=len(reference.counts))
        for reference, values in zip(profile.columns, columns, strict=True)
    ]
    return np.concatenate(counted)
