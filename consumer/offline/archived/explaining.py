"""Why the mean prediction changed: what each feature contributed to it before and since a time.

The model explains archived rows of its own, of both times. Contributions add up to the prediction
of each row, so the changes of their means add up to the change of the mean prediction: exactly,
whatever the rows are held against.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from driftgauge.consumer.offline.archived.challenger import faults_of
from driftgauge.consumer.offline.archived.sample import Sample, read_sample, rows_of
from driftgauge.shared.archive.scan import Range
from driftgauge.shared.archive.store import Store
from driftgauge.shared.arrays import Floats
from driftgauge.shared.errors import BadData
from driftgauge.shared.explaining.exact import explained
from driftgauge.shared.explaining.explanation import Explanation, Scale, Unexplained
from driftgauge.shared.moments import IsoTime, iso
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.versions.manifest import PublishedVersion
from driftgauge.shared.versions.prediction import model_inputs
from driftgauge.shared.wording.numbers import count, signed_figure, with_unit

MOST_ROWS: Final = 2000
"""About as many rows of each time are explained at most, chosen by a hash of their ids."""
NORMAL_95: Final = 1.959964
"""Half of the width of a 95 % interval, in standard errors."""
CLOSE: Final = 1e-4
"""Largest relative difference of two predictions that are the same."""
NAMED: Final = 3
"""Most features that the sentence names."""
WORDS: Final[dict[Scale, str]] = {
    "prediction": "prediction",
    "log_prediction": "logarithm of the prediction",
    "log_odds": "log odds",
    "margin": "raw score",
}


class Asked(msgspec.Struct, frozen=True):
    """What is asked for.

    Parameters
    ----------
    since, until
        Times of the rows that are explained, in Unix ms: the first is among them, the second is
        not; without the second all later ones are.
    first
        Time of the first row that they are held against, which end at `since`; None for any.
    """

    since: int
    until: int | None = None
    first: int | None = None


class Side(msgspec.Struct, frozen=True):
    """The rows of one time.

    Parameters
    ----------
    rows, explained
        How many there are, and how many of them were explained.
    mean
        Mean of what base and contributions of a row add up to.
    """

    start: IsoTime
    end: IsoTime
    rows: int
    explained: int
    mean: float


class MeanChange(msgspec.Struct, frozen=True):
    """A difference of two means, and its 95 % interval, as if rows were independent."""

    change: float
    low: float
    high: float


class FeatureChange(msgspec.Struct, frozen=True):
    """What a feature contributed on average before and since, and how that changed."""

    feature: str
    before: float
    since: float
    found: MeanChange


class Why(msgspec.Struct, frozen=True):
    """What came of it.

    Parameters
    ----------
    said
        The answer in a sentence.
    scale, about
        What the numbers are, as in an explained prediction.
    unit
        Unit of the numbers; empty if none is known.
    found
        The change of the mean.
    features
        The one that brought most of it first. Their changes add up to that of the mean.
    notes
        What is to be known of the rows, in sentences.
    """

    model: str
    version: str
    said: str
    scale: Scale
    about: str | None
    unit: str
    before: Side
    since: Side
    found: MeanChange
    features: list[FeatureChange]
    notes: list[str]


def why(store: Store, published: PublishedVersion, fitted: Any, asked: Asked) -> Why:
    """Tell which features brought how much of the change of the mean prediction.

    Parameters
    ----------
    published, fitted
        The version that answered the rows, and its model.

    Raises
    ------
    BadData
        If there are no rows of either time, a file cannot be read, or the model cannot be explained
        by what is archived.
    """
    schema, manifest = published.schema, published.manifest
    name = f"{manifest.model} {manifest.version}"
    faults = [*faults_of(schema, schema)]
    if len(schema.classes) > 2:
        faults.append("it has more than two classes, and each has contributions of its own")
    if faults:
        raise BadData(f"{name} cannot be explained on archived rows: {'; '.join(faults)}.")
    samples, found = [], []
    for since, until in ((asked.first, asked.since), (asked.since, asked.until)):
        wanted = Range(manifest.model, since, until, version=manifest.version)
        rows = rows_of(store, published, wanted)
        samples.append(read_sample(store, published, wanted, rows, MOST_ROWS))
        found.append(_explanations(published, fitted, samples[-1]))
    scales = {one.scale for part in found for one in part}
    if len(scales) > 1:
        raise BadData(
            f"{name} is not explained on one scale: its rows are {', '.join(sorted(scales))}."
        )
    scale, about = found[0][0].scale, found[0][0].about
    totals, parts = zip(*map(_numbers, found), strict=True)
    features = [
        FeatureChange(feature, float(one.mean()), float(two.mean()), change_of(one, two))
        for feature, one, two in zip(schema.names, parts[0].T, parts[1].T, strict=True)
    ]
    features.sort(key=lambda one: -abs(one.found.change))
    whole = change_of(*totals)
    what = f"{WORDS[scale]} of {about}" if about else WORDS[scale]
    unit = schema.unit if scale == "prediction" else ""
    before, since_ = (
        Side(
            iso(int(sample.times.min())),
            iso(int(sample.times.max())),
            sample.rows,
            sample.read,
            float(total.mean()),
        )
        for sample, total in zip(samples, totals, strict=True)
    )
    return Why(
        manifest.model,
        manifest.version,
        _said(f"{name}: the mean {what}", whole, features, unit),
        scale,
        about,
        unit,
        before,
        since_,
        whole,
        features,
        [*_notes(samples, totals, scale)],
    )


def change_of(one: Floats, two: Floats) -> MeanChange:
    """Return how much larger the mean of `two` is than that of `one`, with its interval.

    Examples
    --------
    >>> found = change_of(np.array([1.0, 1.0]), np.array([3.0, 5.0]))
    >>> found.change, round(found.low, 3), round(found.high, 3)
    (3.0, 1.614, 4.386)
    """
    change = float(two.mean() - one.mean())
    reach = NORMAL_95 * float(np.sqrt(one.var() / len(one) + two.var() / len(two)))
    return MeanChange(change, change - reach, change + reach)


def _explanations(published: PublishedVersion, fitted: Any, sample: Sample) -> list[Explanation]:
    """Explain the rows of a sample."""
    schema, manifest = published.schema, published.manifest
    if not sample.read:
        raise BadData("No row was chosen of those that are archived; choose a longer time.")
    columns = (one if isinstance(one, list) else one.tolist() for one in sample.columns)
    rows = [list(row) for row in zip(*columns, strict=True)]
    try:
        return explained(fitted, rows, _inputs(schema, fitted), schema, published.reference)
    except Unexplained as reason:
        raise BadData(
            f"{manifest.model} {manifest.version} cannot be explained: the model {reason}."
        ) from reason
    except Exception as error:
        raise BadData(
            f"{manifest.model} {manifest.version} fails at archived rows: {type(error).__name__}."
        ) from error


def _inputs(schema: Schema, fitted: Any) -> Any:
    """Return the function that makes the model's matrix or frame of rows."""
    return lambda rows: model_inputs(schema, fitted, [list(one) for one in zip(*rows, strict=True)])


def _numbers(found: Sequence[Explanation]) -> tuple[Floats, Floats]:
    """Return the total of each row, and its contributions, shape (rows, features)."""
    parts = np.array([one.contributions for one in found])
    return np.array([one.base for one in found]) + parts.sum(axis=1), parts


def _said(what: str, whole: MeanChange, features: Sequence[FeatureChange], unit: str) -> str:
    """Say the change, and from which features it comes whose own change is none of chance."""
    change = f"{what} changed by {with_unit(signed_figure(whole.change), unit)}"
    if whole.low <= 0 <= whole.high:
        return f"{change}, which may be chance."
    named = [
        f"{signed_figure(one.found.change)} from {one.feature}"
        for one in features[:NAMED]
        if not one.found.low <= 0 <= one.found.high
    ]
    return f"{change}: {', '.join(named)}." if named else f"{change}."


def _notes(samples: Sequence[Sample], totals: Sequence[Floats], scale: Scale) -> Iterator[str]:
    """Yield what is to be known of the rows."""
    for when, sample in zip(("before", "since"), samples, strict=True):
        if sample.read < sample.rows:
            yield (
                f"{count(sample.read)} of {count(sample.rows)} rows {when} were explained, chosen "
                "by a hash of their ids."
            )
    if scale != "prediction":
        return
    other = sum(
        int((np.abs(total - said) > CLOSE * (1 + np.abs(said))).sum())
        for total, said in zip(
            totals, (np.asarray(one.predictions, np.float64) for one in samples), strict=True
        )
    )
    if other:
        yield f"{count(other)} of these rows were answered otherwise than the model predicts now."
