"""Judges the performance of past days, each by the labels that it has by now.

A day is judged anew whenever labels came for it. So that a false alarm is no likelier for that, the
limit holds at all numbers of labels at once: they are parted into epochs from `least` rows, each
twice as long as the one before; epoch k has 1 / (k (k + 1)) of the level; and within an epoch the
interval is that of its end, by Levy's inequality at half of the level. The verdict follows from the
day's sums alone, so it does not hang on the order in which the labels came.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import frexp, sqrt
from typing import Final

from driftgauge.consumer.judging.evaluating.budget import JUDGED_METRICS
from driftgauge.consumer.judging.labelled.metric_reading import judge
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.windows.labelled_days import LabelledDay, LabelledDays
from driftgauge.consumer.judging.windows.window import DAY_MS
from driftgauge.shared.performance import Confidence, Metric, PerformanceBaselines, Sums, metrics
from driftgauge.shared.wording.times import day_name, days_named

NAMED_RUNS: Final = 3


@dataclass(frozen=True, slots=True)
class Patience:
    """How sure a verdict on a day must be after so many labels.

    Parameters
    ----------
    confidence
        Of the two-sided interval.
    widened
        Factor of its half width.

    Examples
    --------
    >>> [round(Patience.after(rows, 200, 1e-3).widened, 2) for rows in (200, 300, 400, 799)]
    [1.41, 1.15, 1.41, 1.0]
    """

    confidence: Confidence
    widened: float

    @classmethod
    def after(cls, rows: int, least: int, level: float) -> "Patience":
        """Return it for a number of rows that is at least `least`; `level` is one-sided, of all
        numbers of rows together.
        """
        epoch = frexp(rows / least)[1]
        share = level / (epoch * (epoch + 1)) / 2
        return cls(Confidence(1 - 2 * share), sqrt(least * 2**epoch / rows))


@dataclass(frozen=True, slots=True)
class Fall:
    """Past days on which a metric was bad.

    Parameters
    ----------
    days
        Their numbers, in order.
    metric
        Of all their labelled predictions together.
    known
        Logical time (ms) at which the first of them was found bad.
    news
        Whether one of them is not told yet, or labels have just come for one that was told late.
    late
        Whether people learn of it by its days, not as it happens.
    """

    days: Sequence[int]
    metric: Metric
    known: int
    news: bool
    late: bool

    @property
    def start(self) -> int:
        return self.days[0] * DAY_MS

    @property
    def end(self) -> int:
        return (self.days[-1] + 1) * DAY_MS

    def when(self) -> str:
        """Say which days, and since when they are known."""
        runs = _runs(self.days)
        named = [days_named(first * DAY_MS, last * DAY_MS) for first, last in runs[-NAMED_RUNS:]]
        more = f" and {len(runs) - NAMED_RUNS} stretches before" * (len(runs) > NAMED_RUNS)
        return f"{', '.join(named)}{more}, known since {day_name(self.known)}"


def falls(
    baselines: PerformanceBaselines,
    days: LabelledDays,
    open_since: Mapping[str, int],
    fresh: Collection[int] = (),
) -> dict[str, Fall]:
    """Sum up the bad days of each metric: those of which nobody was told, and, while its alert is
    open, those since it began.

    Parameters
    ----------
    open_since
        When (logical ms) the open alert of a metric began.
    fresh
        Days that were judged just now.
    """
    kept = sorted(days.days.values(), key=lambda one: one.day)
    found = {}
    for name in JUDGED_METRICS[baselines.layout.kind]:
        bad = [one for one in kept if name in one.bad]
        began = [one.day for one in bad if name not in one.told]
        untold = bool(began)
        began += [open_since[name] // DAY_MS] if name in open_since else []
        chosen = [one for one in bad if began and one.day >= min(began)]
        if not chosen:
            continue
        metric = metrics(_total(baselines, days, chosen), names=(name,))[name]
        news = untold or any(one.day in fresh and one.told.get(name) for one in chosen)
        found[name] = Fall(
            [one.day for one in chosen],
            metric,
            known=min(one.bad[name] for one in chosen),
            news=news,
            late=news or any(one.told.get(name) for one in chosen),
        )
    return found


def look(
    baselines: PerformanceBaselines,
    days: LabelledDays,
    level: float,
    policy: JudgingPolicy,
    now: int,
) -> list[LabelledDay]:
    """Judge the past days whose labels changed; return them.

    Parameters
    ----------
    level
        One-sided, of one metric and day.
    now
        Logical time (ms).
    """
    seen = []
    for group in days.to_judge(now, policy.min_labelled_rows):
        bad = _bad(baselines, days, group, level, policy)
        for one in group:
            one.bad = {name: one.bad.get(name, now) for name in bad}
            one.told = {name: late for name, late in one.told.items() if name in bad}
        seen += group
    return seen


def _bad(
    baselines: PerformanceBaselines,
    days: LabelledDays,
    group: Sequence[LabelledDay],
    level: float,
    policy: JudgingPolicy,
) -> list[str]:
    """Name the metrics that are bad over some days together."""
    rows = sum(one.labelled for one in group)
    if rows < policy.min_labelled_rows:
        return []
    patience = Patience.after(rows, policy.min_labelled_rows, level)
    sure = patience.confidence
    total = _total(baselines, days, group)
    found = metrics(total, sure.level, JUDGED_METRICS[baselines.layout.kind])
    bad = []
    for name, metric in found.items():
        base = baselines.baseline(name)
        if base is None or metric.value is None:
            continue
        reading, _ = judge(name, metric, base, sure, policy, patience.widened)
        if reading.severity:
            bad.append(name)
    return bad


def _total(
    baselines: PerformanceBaselines, days: LabelledDays, group: Iterable[LabelledDay]
) -> Sums:
    total = Sums.zero(baselines.layout)
    for one in group:
        sums = days.sums_of(one)
        if sums is not None:
            total += sums
    return total


def _runs(days: Sequence[int]) -> list[tuple[int, int]]:
    """Part sorted days into runs without a gap: the first and the last of each.

    Examples
    --------
    >>> _runs([3, 4, 11, 12, 13])
    [(3, 4), (11, 13)]
    """
    cuts = [0, *(at for at, (one, two) in enumerate(pairwise(days), 1) if two != one + 1)]
    return [(days[at], days[end - 1]) for at, end in pairwise([*cuts, len(days)])]
