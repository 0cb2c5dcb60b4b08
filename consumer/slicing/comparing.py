"""A slice held against the other rows, or against the version's reference: the statistics, rules
and report of a stream, on the rows of an archive.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
import numpy as np

from driftgauge.consumer.judging.evaluating.budget import Levels, levels_of_one
from driftgauge.consumer.judging.evaluating.evaluation import Evaluation
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.labelled.performance import Labelled, report
from driftgauge.consumer.judging.labelled.target import Target
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.reports.column_numbers import numbers_of
from driftgauge.consumer.judging.reports.column_report import column_reports, with_numbers
from driftgauge.consumer.judging.snapshotting import verdict
from driftgauge.consumer.judging.windows.labelled import LabelledWindow
from driftgauge.consumer.offline.archived.sample import Sample
from driftgauge.consumer.offline.comparison import cells_of, with_exact, with_names
from driftgauge.consumer.slicing.condition import Condition
from driftgauge.consumer.slicing.rows import missing, rows_of
from driftgauge.shared.contract.severity import worst
from driftgauge.shared.contract.snapshot import Performance, Snapshot, Window
from driftgauge.shared.errors import BadData
from driftgauge.shared.performance import (
    Layout,
    PerformanceBaselines,
    PerformanceReference,
    Sums,
)
from driftgauge.shared.reference.building import build_profile, counted
from driftgauge.shared.reference.columns.recognising import ALL_DIFFERENT, LEAST_ROWS
from driftgauge.shared.reference.profile import Column
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.versions.manifest import PublishedVersion

Against = Literal["rest", "reference"]
NO_PROMISE: Final = (
    "A slice that was chosen after looking at the data carries no promise about false alarms: "
    "whoever looks at many finds one that looks bad. driftgauge slice MODEL --worst "
    "searches, and counts its looks."
)
BY_OUTCOME: Final = (
    "The condition is about predictions or labels, so the performance differs by choice: it says "
    "nothing about the model."
)
ALL_OTHER: Final = "nearly every row has another value"


@dataclass(frozen=True)
class Asked:
    """What is compared, for the report.

    Parameters
    ----------
    created
        Unix time (ms) of the report.
    false_alarms
        False alarms that one comparison may have on average, over all columns, metrics and rules,
        if the slice was chosen without looking.
    """

    model: str
    condition: Condition
    version: str
    created: int
    policy: JudgingPolicy
    false_alarms: float = 0.01


def against_rest(asked: Asked, schema: Schema, chosen: Sample, others: Sample) -> Snapshot:
    """Hold the rows of a slice against all others.

    Raises
    ------
    BadData
        If one of the two has no row.
    """
    _check(asked, chosen, others)
    schema = _without_ids(schema, others)
    before = counted(schema, others.columns, others.times)
    profile = build_profile(schema, before, others.predictions)
    layout = Layout.of(schema, profile)
    baselines = None
    if layout is not None and others.predictions is not None and others.labels is not None:
        known = PerformanceReference.of(
            layout, others.predictions, others.labels, others.probabilities
        )
        baselines = PerformanceBaselines(layout, {}, known)
    judged = JudgedVersion(schema, profile, baselines=baselines, labels=baselines is not None)
    columns = [*before, *([] if others.predictions is None else [others.predictions])]
    said = (
        f"{_counted(chosen)} fulfil the condition {asked.condition.text!r}. They are held against "
        f"the other {_counted(others)}: these are the reference here."
    )
    return _snapshot(asked, judged, chosen, columns, said)


def against_reference(
    asked: Asked, published: PublishedVersion, schema: Schema, chosen: Sample
) -> Snapshot:
    """Hold the rows of a slice against the reference of their version.

    Parameters
    ----------
    schema
        What the rows are, without what they are chosen by.

    Raises
    ------
    BadData
        If there is no row, or the reference has columns that the archive lacks.
    """
    _check(asked, chosen)
    there = dict(zip(schema.names, chosen.columns, strict=True))
    stream = published.schema.stream
    absent = [name for name in stream.names if name not in there]
    if absent:
        raise BadData(
            f"The archive has no column {', '.join(absent)}, which the reference of "
            f"{asked.version} has; compare with --against rest."
        )
    side = Sample(
        chosen.rows,
        chosen.times,
        [there[name] for name in stream.names],
        chosen.predictions,
        chosen.labels,
        chosen.probabilities,
    )
    said = (
        f"{_counted(chosen)} fulfil the condition {asked.condition.text!r}. They are held against "
        f"the registered reference of {asked.version}."
    )
    judged = JudgedVersion.of(
        msgspec.structs.replace(published, schema=_asrows_of(published.schema, schema))
    )
    return _snapshot(asked, judged, side, None, said)


def _asrows_of(published: Schema, schema: Schema) -> Schema:
    """Leave what the rows are chosen by out of drift."""
    by = {one.name: one.excluded for one in schema.features}
    features = tuple(
        msgspec.structs.replace(one, excluded=one.excluded or by.get(one.name, ""))
        for one in published.stream.features
    )
    return msgspec.structs.replace(published.stream, features=features)


def _check(asked: Asked, chosen: Sample, others: Sample | None = None) -> None:
    if not chosen.read:
        raise BadData(
            f"No row fulfils the condition {asked.condition.text!r}; there is none to judge."
        )
    if others is not None and not others.read:
        raise BadData(
            f"Every row fulfils the condition {asked.condition.text!r}, so there is no rest to "
            f"hold them against; compare with --against reference."
        )


def _counted(side: Sample) -> str:
    part = "" if side.read == side.rows else f" ({side.read:,} of them, chosen by their ids)"
    return f"{side.rows:,} rows{part}"


def _without_ids(schema: Schema, others: Sample) -> Schema:
    """Leave columns out of drift that name each row, such as an order's number."""
    features = []
    for feature, column in zip(schema.features, others.columns, strict=True):
        there = [one for one in column if one is not None] if isinstance(column, list) else []
        different = (
            not feature.excluded
            and len(there) >= LEAST_ROWS
            and len({*there}) >= ALL_DIFFERENT * len(there)
        )
        features.append(
            msgspec.structs.replace(feature, excluded=ALL_OTHER) if different else feature
        )
    return msgspec.structs.replace(schema, features=tuple(features))


def _snapshot(
    asked: Asked,
    judged: JudgedVersion,
    side: Sample,
    before: Sequence[Column] | None,
    said: str,
) -> Snapshot:
    """Judge the columns and the performance of some rows.

    Parameters
    ----------
    before
        The columns of the rows that they are held against; None if only their profile is known.
    """
    columns = counted(judged.schema, side.columns, side.times)
    profile = judged.reference
    if side.predictions is not None and len(profile.columns) > len(columns):
        columns.append(side.predictions)
    levels = levels_of_one(asked.policy, judged.judged_columns, asked.false_alarms, labelled=True)
    evaluation = Evaluation(judged, cells_of(profile, columns), side.read, levels, asked.policy)
    reports = column_reports(evaluation)
    if before is not None:
        reports = [
            (with_names if one.kind == "categorical" else with_exact)(one, *both)
            for one, *both in zip(reports, before, columns, strict=True)
        ]
    features = reports[: len(judged.schema.features)]
    prediction = reports[len(features)] if len(reports) > len(features) else None
    performance = _performance(asked, judged, side, levels)
    severity = worst(one.severity for one in reports)
    told = verdict(severity, reports, side.read)
    if performance is not None and performance.severity == "critical":
        severity = "critical"
        told = f"Critical: {performance.reason}. {told}"
    by_outcome = asked.condition.columns & {"prediction", "label", "probabilities"}
    return Snapshot(
        id=f"slice of {asked.model}",
        model=asked.model,
        version=asked.version,
        trigger="current",
        created=asked.created,
        severity=severity,
        verdict=told,
        window=Window(*_times(side), side.read, 1, side.read),
        reference_rows=profile.rows,
        features=features,
        prediction=prediction,
        alerts=[],
        events_per_day=float(side.read),
        notes=[said, NO_PROMISE, *([BY_OUTCOME] if by_outcome else [])],
        performance=performance,
    )


def _times(side: Sample) -> tuple[int, int]:
    return int(side.times.min()), int(side.times.max())


def _performance(
    asked: Asked, judged: JudgedVersion, side: Sample, levels: Levels
) -> Performance | None:
    """Judge the rows with a label beside those that they are held against; None without labels."""
    baselines = judged.baselines
    if baselines is None or side.predictions is None or side.labels is None:
        return None
    known = _known(side.predictions, side.labels)
    if not len(known):
        return None
    said, truth = rows_of(side.predictions, known), rows_of(side.labels, known)
    shares = None if side.probabilities is None else side.probabilities[known]
    window = LabelledWindow(
        sums=Sums.of(baselines.layout, said, truth, shares),
        predictions=side.read,
        labelled=len(known),
    )
    if judged.target is not None:
        column = judged.target.column
        window.labels = np.bincount(column.cells(truth), minlength=len(column.counts))
    labelled = Labelled(window, baselines, levels, asked.policy)
    start, end = _times(side)
    found = report(labelled, baselines, None, (start, end))
    target = Target.of(judged, labelled)
    of_labels = None
    if target is not None:
        numbers = numbers_of(target.reference, target.counts.window[None])
        of_labels = with_numbers(target.draft(), numbers[0])
    return found and msgspec.structs.replace(found, start=start, end=end, target=of_labels)


def _known(predictions: Column, labels: Column) -> Any:
    """Find the rows that have both."""
    return np.flatnonzero(~(missing(predictions) | missing(labels)))
