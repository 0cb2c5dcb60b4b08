"""Judges past days, each by the labels that it has by now: the metrics of the model and of its
segments, and the drift of the labels.

A day is judged anew whenever labels came for it. So that a false alarm is no likelier for that, the
limit holds at all numbers of labels at once: they are parted into epochs from `least` rows, each
twice as long as the one before; epoch k has 1 / (k (k + 1)) of the level; and within an epoch the
interval is that of its end, by Levy's inequality at half of the level. The verdict follows from the
day's sums alone, so it does not hang on the order in which the labels came. For the same reason a
window whose labels are all of past days raises nothing by itself (`with_days`): which panes are in
it hangs on that order.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import frexp, sqrt
from typing import Final, Protocol

import msgspec

from driftgauge.consumer.judging.evaluating.budget import judged_metrics
from driftgauge.consumer.judging.evaluating.reading import Evidence, Reading
from driftgauge.consumer.judging.labelled.metric_reading import judge
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.windows.labelled_days import (
    DayTotal,
    LabelledDay,
    LabelledDays,
)
from driftgauge.consumer.judging.windows.window import DAY_MS
from driftgauge.shared.performance import Confidence, PerformanceBaselines, metrics
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
    """Past days on which a metric, a segment or the distribution of the labels was bad.

    Parameters
    ----------
    days
        Their numbers, in order.
    total
        All their labelled predictions together.
    known
        Logical time (ms) at which the first of them was found bad.
    news
        Whether one of them is not told yet, or labels have just come for one that was told late.
    late
        Whether people learn of it by its days, not as it happens.
    """

    days: Sequence[int]
    total: DayTotal
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


class Question(Protocol):
    """What a day is asked."""

    @property
    def subjects(self) -> Collection[str]:
        """Names of what it may find bad, as in `LabelledDay.bad`."""

    @property
    def least(self) -> int:
        """Labels without which it has no answer."""

    def rows(self, total: DayTotal) -> int:
        """Count the labels that it looks at."""

    def bad(self, total: DayTotal) -> Collection[str]:
        """Name the subjects that are bad, of at least `least` labels."""


@dataclass(frozen=True)
class ModelFell:
    """The question whether the metrics of the whole model are worse than their baselines.

    Parameters
    ----------
    level
        One-sided, of one metric and day.
    """

    baselines: PerformanceBaselines
    level: float
    policy: JudgingPolicy

    @property
    def subjects(self) -> Collection[str]:
        return judged_metrics(self.baselines.layout.kind, self.policy)

    @property
    def least(self) -> int:
        return self.policy.min_labelled_rows

    def rows(self, total: DayTotal) -> int:
        return total.rows

    def bad(self, total: DayTotal) -> Collection[str]:
        assert total.sums is not None  # noqa: S101  there are labels
        patience = Patience.after(self.rows(total), self.least, self.level)
        sure = patience.confidence
        worth = self.policy.value
        found = metrics(total.sums, sure.level, tuple(self.subjects), worth)
        bad = []
        for name, metric in found.items():
            base = self.baselines.baseline(name, worth)
            if base is None or metric.value is None:
                continue
            reading, _ = judge(name, metric, base, sure, self.policy, patience.widened)
            if reading.severity:
                bad.append(name)
        return bad


def look(
    days: LabelledDays, over: Collection[LabelledDay], questions: Iterable[Question], now: int
) -> list[LabelledDay]:
    """Judge past days whose labels changed (`LabelledDays.take_over`), at a logical time (ms);
    return them, and those that were judged with them.
    """
    seen = {one.day: one for one in over}
    for question in questions:
        for group in days.groups(over, now, question.least, question.rows):
            total = days.total(group)
            enough = question.rows(total) >= question.least
            bad = question.bad(total) if enough else ()
            for one in group:
                _note(one, question.subjects, bad, now)
                seen[one.day] = one
    return list(seen.values())


def _note(day: LabelledDay, subjects: Collection[str], bad: Collection[str], now: int) -> None:
    """Note which of some subjects are bad on a day, and that the others are not."""
    good = set(subjects) - set(bad)
    found = {**dict.fromkeys(bad, now), **day.bad}
    day.bad = {name: since for name, since in found.items() if name not in good}
    day.told = {name: late for name, late in day.told.items() if name not in good}


def falls(
    days: LabelledDays, open_since: Mapping[str, int], fresh: Collection[int] = ()
) -> dict[str, Fall]:
    """Sum up the bad days of each subject: those of which nobody was told, and, while its alert is
    open, those since it began.

    Parameters
    ----------
    open_since
        When (logical ms) the open alert of a subject began.
    fresh
        Days that were judged just now.
    """
    kept = sorted(days.days.values(), key=lambda one: one.day)
    found = {}
    for name in dict.fromkeys(name for one in kept for name in one.bad):
        bad = [one for one in kept if name in one.bad]
        began = [one.day for one in bad if name not in one.told]
        untold = bool(began)
        began += [open_since[name] // DAY_MS] if name in open_since else []
        chosen = [one for one in bad if began and one.day >= min(began)]
        if not chosen:
            continue
        news = untold or any(one.day in fresh and one.told.get(name) for one in chosen)
        found[name] = Fall(
            [one.day for one in chosen],
            days.total(chosen),
            known=min(one.bad[name] for one in chosen),
            news=news,
            late=news or any(one.told.get(name) for one in chosen),
        )
    return found


def with_days(
    reading: Reading,
    evidence: Evidence,
    fall: Fall | None,
    *,
    late: bool,
    fallen: Callable[[Fall], tuple[Reading, Evidence]],
) -> tuple[Reading, Evidence]:
    """Join what a window says by what past days say.

    Parameters
    ----------
    late
        Whether all labels of the window are of past days. Then only these raise an alert.
    fallen
        Function that tells of bad days.
    """
    if fall is not None and (fall.news or (reading.severity and (late or fall.late))):
        return fallen(fall)
    if late:
        reading = msgspec.structs.replace(reading, severity=None)
    if fall is not None and fall.late:
        reading = msgspec.structs.replace(reading, quiet_days=1)
    return reading, evidence


def _runs(days: Sequence[int]) -> list[tuple[int, int]]:
    """Part sorted days into runs without a gap: the first and the last of each.

    Examples
    --------
    >>> _runs([3, 4, 11, 12, 13])
    [(3, 4), (11, 13)]
    """
    cuts = [0, *(at for at, (one, two) in enumerate(pairwise(days), 1) if two != one + 1)]
    return [(days[at], days[end - 1]) for at, end in pairwise([*cuts, len(days)])]
