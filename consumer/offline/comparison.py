"""Comparison of two samples instead of a stream: the monitor's statistics and rules on arrays and
data frames.

The same cells, statistics, rules and report as for a stream, for notebooks and pipelines. Nothing
here knows a clock, a file or Redis.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, Protocol

import msgspec
import numpy as np
import pandas as pd

from driftgauge.consumer.judging.evaluating.budget import INTEGRITY_TESTS, Levels
from driftgauge.consumer.judging.evaluating.column_report import column_reports
from driftgauge.consumer.judging.evaluating.evaluation import Evaluation
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.snapshotting import verdict
from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.contract.severity import worst
from driftgauge.shared.contract.snapshot import Snapshot, Statistic, Window
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.frames import as_column, columns_of, infer, kind_of
from driftgauge.shared.reference.profile import (
    CategoricalReference,
    Column,
    NumericReference,
    ReferenceProfile,
)
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.statistics import STATISTICS, ColumnCounts, Definition

Sample = Sequence[Any] | Floats | pd.Series


def compare(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    features: Sequence[str] | None = None,
    exclude: Mapping[str, str] | Sequence[str] = (),
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
        Rows to compare with, and rows to judge; at least one of each. Columns of `current` that the
        reference does not have are ignored.
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
        `severity` is the worst of all features: `ok`, `warning`, `critical`, or
        `insufficient_data`.

    Raises
    ------
    BadData
        If a column is missing, is of another kind in `current`, or there is no row.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> before = pd.DataFrame({"x": rng.normal(size=2000), "y": rng.normal(size=2000)})
    >>> after = before.assign(x=before.x + 1)
    >>> found = compare(before, after)
    >>> found.severity, [feature.severity for feature in found.features]
    ('critical', ['critical', 'ok'])
    """
    schema = schema or _schema_of(reference, features, exclude)
    for title, frame in (("reference", reference), ("current", current)):
        if not len(frame):
            raise BadData(f"The {title} has no rows; give at least one.")
    profile = build_profile(schema, columns_of(reference, schema), None)
    policy = policy or JudgingPolicy()
    judged = JudgedVersion(schema.stream, profile)
    evaluation = Evaluation(
        judged,
        _cells(profile, columns_of(current, schema)),
        len(current),
        _levels(policy, judged, false_alarms),
        policy,
    )
    reports = column_reports(evaluation)
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


def statistics(reference: Sample, current: Sample) -> dict[str, Statistic]:
    """Compute all statistics that suit two samples of one feature, by name.

    Parameters
    ----------
    reference, current
        Numbers (NaN or None is missing), or categories as text (None is missing); each at least one
        row.

    Examples
    --------
    >>> sorted(statistics([0, 1, 3], [5, 6, 8]))
    ['jensen_shannon', 'ks', 'psi', 'wasserstein']
    """
    counts = _counts(reference, current)
    return {
        name: _computed(known, counts, reference, current)
        for name, known in STATISTICS.items()
        if known.suits(counts)
    }


class SampleStatistic(Protocol):
    """A statistic of two samples of one feature: `driftgauge.psi`, `driftgauge.ks`, …."""

    def __call__(self, reference: Sample, current: Sample, **options: float) -> Statistic:
        """Compute it; the options are those of the statistic's own file."""


@lru_cache
def of_samples(name: str) -> SampleStatistic:
    """Return a statistic as a function of two samples.

    Numbers are compared exactly, whatever their number: each distinct value of the reference is a
    cell of its own.

    Examples
    --------
    >>> of_samples("ks")([1, 2, 3, 4], [3, 4, 5, 6]).value
    0.5
    >>> found = of_samples("psi")(np.arange(1000), np.arange(1000) + 200)
    >>> round(found.value, 3), round(found.expected, 3)
    (1.6, 0.018)
    >>> round(of_samples("wasserstein")([0, 1, 3], [5, 6, 8]).value, 9)
    5.0
    """
    known = STATISTICS[name]

    def compute(reference: Sample, current: Sample, **options: float) -> Statistic:
        return _computed(known, _counts(reference, current), reference, current, **options)

    compute.__name__ = compute.__qualname__ = name
    compute.__doc__ = known.compute.__doc__
    return compute


def _computed(
    known: Definition, counts: ColumnCounts, reference: Sample, current: Sample, **options: float
) -> Statistic:
    """Compute a statistic by counts, and by the samples where counts only approximate it."""
    found = known(counts, **options)
    if known.exact is None or found.value is None:
        return found
    before, after = (
        pd.Series(as_column(pd.Series(sample), "numeric")).dropna().to_numpy()
        for sample in (reference, current)
    )
    return msgspec.structs.replace(found, value=known.exact(before, after))


class _RawCounts(ColumnCounts):
    """The counts of two samples as they are: bins are not pooled, as other libraries have it."""

    @cached_property
    def bins(self) -> tuple[Ints, Ints]:
        place = np.array(self.reference.bin_of_cell)
        reference, window = (
            np.bincount(place, cells).astype(np.int64)
            for cells in (self.reference_cells, self.window)
        )
        used = reference + window > 0
        return reference[used], window[used]


def _counts(reference: Sample, current: Sample) -> ColumnCounts:
    """Count two samples exactly: every distinct value of the reference is a cell."""
    before, after = pd.Series(reference), pd.Series(current)
    if not len(before) or not len(after):
        raise BadData("A sample has no rows; give at least one.")
    kind = kind_of(before)
    values = as_column(before, kind)
    column: NumericReference | CategoricalReference = (
        NumericReference.build("values", values, cuts=max(len(values), 2))
        if kind == "numeric"
        else CategoricalReference.build("values", values)
    )
    cells = column.cells(as_column(after, kind))
    return _RawCounts(column, np.bincount(cells, minlength=len(column.counts)))


def _schema_of(
    reference: pd.DataFrame,
    features: Sequence[str] | None,
    exclude: Mapping[str, str] | Sequence[str],
) -> Schema:
    absent = [name for name in features or () if name not in reference.columns]
    if absent:
        raise BadData(
            f"The reference has no column {', '.join(absent)}; it has: "
            f"{', '.join(map(str, reference.columns))}."
        )
    reasons = (
        exclude
        if isinstance(exclude, Mapping)
        else dict.fromkeys(exclude, "excluded by the caller")
    )
    frame = reference if features is None else reference[[*features]]
    return infer(frame, reasons, nullable=True)


def _cells(profile: ReferenceProfile, columns: list[Column]) -> Ints:
    """Count the rows in each cell of the profile, all columns in one vector."""
    counted = [
        np.bincount(reference.cells(values), minlength=len(reference.counts))
        for reference, values in zip(profile.columns, columns, strict=True)
    ]
    return np.concatenate(counted)


def _levels(policy: JudgingPolicy, judged: JudgedVersion, false_alarms: float) -> Levels:
    """Share the budget of one comparison between the rules as a stream's budget is shared."""
    columns = max(len(judged.watched), 1)
    both = policy.psi_share + policy.integrity_share
    return Levels(
        psi=false_alarms * policy.psi_share / both / columns,
        integrity=false_alarms * policy.integrity_share / both / columns / INTEGRITY_TESTS,
    )
