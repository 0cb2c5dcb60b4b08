"""Makes the calibration of a version: classifies the columns of a time-ordered reference as
exchangeable, ordered or functions of the clock, and sets the thresholds of the ordered ones.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from driftgauge.consumer.judging.ordered.day_bins import WEEK, DayBins, week_rows
from driftgauge.consumer.judging.ordered.replay_threshold import (
    LEAST_WEEKS,
    Replays,
    common_threshold,
    draw,
    episodes,
    in_order,
    rate,
    relative,
    usual,
)
from driftgauge.consumer.judging.ordered.shift import smallest_shift
from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.reference.calibration import Calibration, FeatureCalibration, Order, Timeline
from driftgauge.shared.reference.profile import PREDICTION, ReferenceProfile

OVERDISPERSED = 2.0
CORRELATED = 0.1
CHANCE = 3.0
"""Standard errors by which a short reference must exceed both limits, so that columns are not
called ordered by chance.
"""
STEPS = 4
"""Number of steps for which `calibrated` calls `progress`."""
CHECK_SEED = 1_000_003
"""Added to the seed for the replays that check the thresholds chosen on other replays."""


def calibrated(
    profile: ReferenceProfile,
    timeline: Timeline,
    *,
    target: float = 1.0,
    floor: float = 0.1,
    watch: Sequence[str] = (),
    seed: int = 0,
    created: str = "",
    progress: Callable[[], None] = lambda: None,
) -> Calibration:
    """Test a reference for order, replay its weeks, and set the thresholds of its ordered columns.

    Parameters
    ----------
    timeline
        Counts of the time-ordered reference.
    target
        Allowed false episodes of the model per 30 days.
    floor
        PSI below which there is never an alarm.
    watch
        Names of columns that are functions of the clock and are judged nevertheless.
    progress
        Function that is called after each of `STEPS` steps.
    """
    bins = DayBins.of(profile, week_rows(timeline))
    dispersion = overdispersion(bins, timeline)
    progress()
    features = [
        _classified(column.name, place, timeline, dispersion, bins, watch)
        for place, column in enumerate(profile.columns)
    ]
    features = _with_prediction(features, timeline)
    made = Calibration(
        tuple(features), timeline, created=created, target=target, watch=tuple(watch)
    )
    ordered = np.array(
        [place for place, feature in enumerate(features) if feature.order == "ordered"],
        dtype=np.int64,
    )
    if not len(ordered):
        for _ in range(STEPS - 1):
            progress()
        return made
    return _Thresholds(profile, bins, timeline, ordered, floor, target, seed).fill(made, progress)


@dataclass(frozen=True)
class _Thresholds:
    """The thresholds of ordered columns."""

    profile: ReferenceProfile
    bins: DayBins
    timeline: Timeline
    ordered: Ints
    floor: float
    target: float
    seed: int

    def fill(self, made: Calibration, progress: Callable[[], None]) -> Calibration:
        replays = draw(self.bins, self.timeline.counts, self.seed)
        psi = replays.psi[..., self.ordered]
        scale = usual(psi)
        thresholds = np.maximum(
            common_threshold(psi, scale, self.floor, self.target) * scale, self.floor
        )
        progress()
        checked = draw(self.bins, self.timeline.counts, self.seed + CHECK_SEED).psi[
            ..., self.ordered
        ]
        began, alarm = episodes(relative(checked, thresholds, self.floor))
        real = in_order(self.bins, self.timeline.counts)[:, self.ordered]
        progress()
        features = list(made.features)
        for place, threshold, mean in zip(
            self.ordered.tolist(), thresholds, psi.mean(axis=(0, 1)), strict=True
        ):
            features[place] = msgspec.structs.replace(
                features[place],
                threshold=float(threshold),
                expected=float(mean),
                detectable=self._detectable(replays, place, float(threshold)),
            )
        progress()
        return msgspec.structs.replace(
            made,
            features=tuple(features),
            realised=rate(began, checked.shape[1]),
            alarm_share=float(alarm.mean()),
            in_order=rate(episodes(relative(real, thresholds, self.floor)[None])[0], len(real)),
        )

    def _detectable(self, replays: Replays, place: int, threshold: float) -> float | None:
        return smallest_shift(self.profile.columns[place], place, self.bins, replays, threshold)


def overdispersion(bins: DayBins, timeline: Timeline) -> Floats:
    """Return the overdispersion of each column: how many times more its weeks vary than independent
    rows would; NaN where unknown.

    It is the mean PSI of a week against the other weeks, over its mean for independent rows, (B -
    1)(1/m + 1/(n - m)).
    """
    if timeline.weeks < 2:
        return np.full(len(bins.sizes), np.nan)
    weeks = (
        bins.pool(timeline.counts[: WEEK * timeline.weeks])
        .reshape(timeline.weeks, WEEK, -1)
        .sum(axis=1)
    )
    rows = np.add.reduceat(weeks, bins.starts, axis=1)
    others = rows.sum(axis=0) - rows
    used = (rows > 0) & (others > 0) & (bins.sizes > 1)
    independent = (bins.sizes - 1) * (1 / np.maximum(rows, 1) + 1 / np.maximum(others, 1))
    ratio = bins.psi(weeks.sum(axis=0) - weeks, weeks) / np.where(used, independent, 1)
    return np.where(
        used.any(axis=0),
        np.where(used, ratio, 0).sum(axis=0) / np.maximum(used.sum(axis=0), 1),
        np.nan,
    )


def _classified(
    name: str,
    place: int,
    timeline: Timeline,
    dispersion: Floats,
    bins: DayBins,
    watch: Sequence[str],
) -> FeatureCalibration:
    """Classify a column, with the reason."""
    measured = None if math.isnan(dispersion[place]) else float(dispersion[place])
    correlation = timeline.autocorrelation[place]
    field = timeline.clock[place]
    order, reason = _order(measured, correlation, timeline, int(bins.sizes[place]))
    if field and name not in watch:
        order, reason = (
            "clock",
            f"a function of {field}: a window never has the clock's whole cycle",
        )
    return FeatureCalibration(name, order, reason, measured, correlation)


def _order(
    dispersion: float | None, correlation: float | None, timeline: Timeline, bins: int
) -> tuple[Order, str]:
    """Call a column ordered if overdispersion and autocorrelation are both significantly above
    their limits.
    """
    limit = max(
        OVERDISPERSED, 1 + CHANCE * math.sqrt(2 / (max(bins - 1, 1) * max(timeline.weeks, 1)))
    )
    correlated = max(CORRELATED, CHANCE / math.sqrt(max(week_rows(timeline) * timeline.weeks, 1)))
    signs = []
    if dispersion is not None and dispersion > limit:
        signs.append(f"a week varies {dispersion:.1f} times as much as independent rows")
    if correlation is not None and correlation > correlated:
        signs.append(f"neighbouring rows are correlated by {correlation:.2f}")
    if not signs:
        return "exchangeable", ""
    why = "ordered in time: " + ", ".join(signs)
    if timeline.weeks < LEAST_WEEKS:
        needs = f"its threshold needs {LEAST_WEEKS} weeks of reference, there are {timeline.weeks}"
        return "uncalibrated", f"{why}; {needs}"
    return "ordered", why


def _with_prediction(
    features: list[FeatureCalibration], timeline: Timeline
) -> list[FeatureCalibration]:
    """Mark a prediction that the time-ordered rows do not have as uncalibrated if a feature is
    ordered.
    """
    last = features[-1]
    rows = np.split(timeline.totals, np.cumsum(timeline.bins)[:-1])[-1].sum()
    if (
        last.name != PREDICTION
        or rows
        or all(feature.order in {"exchangeable", "clock"} for feature in features)
    ):
        return features
    reason = "the time-ordered rows have no predictions, and their features are ordered in time"
    return [*features[:-1], FeatureCalibration(PREDICTION, "uncalibrated", reason)]
