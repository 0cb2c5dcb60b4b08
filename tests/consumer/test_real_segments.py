"""Segments of a real file: what is measured in each equals scikit-learn and pandas on exactly its
rows; what changes in one is found there and named, and without a change nothing is said.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fairlearn import metrics as fl
from sklearn import metrics as sk
from sklearn.ensemble import HistGradientBoostingClassifier

from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.snapshot import SegmentReport, Snapshot
from driftgauge.shared.performance.fairness import LEAST_ROWS
from driftgauge.shared.reference.segments import OTHER
from driftgauge.shared.statistics.psi import population_stability
from tests.consumer.labelled_world import Run, Scored, Traffic, World
from tests.places import DATA

FILE = DATA / "credit_default.csv"
PANE = 250
CHANGED_AT = 2500
EDUCATION = "2"
"""University: about half of the rows."""
Change = Callable[[Any, list[str]], tuple[Any, list[str]]]


@pytest.fixture(scope="module")
def credit() -> World:
    if not FILE.exists():
        pytest.skip(f"the UCI credit-default file is not at {FILE}")
    frame, target = pd.read_csv(FILE).head(24_500), "default.payment.next.month"
    groups = frame[["EDUCATION", "SEX"]].astype(str)
    features = frame.drop(columns=[target, "ID", "SEX", "EDUCATION", "MARRIAGE"]).astype(np.float64)
    model = HistGradientBoostingClassifier(max_iter=30, max_leaf_nodes=15, random_state=0)
    return World.of(
        features,
        frame[target].astype(str).tolist(),
        model,
        fitted=10_000,
        reference=8_000,
        groups=groups,
    )


def rows_of(rows: Scored, place: int, value: str, known: set[str]) -> np.ndarray:
    """Say which rows are in a segment: those of a value, or of all values that are none."""
    found = np.array([row[place] for row in rows.groups])
    return ~np.isin(found, sorted(known)) if value == OTHER else found == value


def segments_of(snapshot: Snapshot) -> list[tuple[int, SegmentReport, set[str]]]:
    """Return each segment with the place of its feature, and the values of that."""
    assert snapshot.segments is not None
    return [
        (place, segment, {one.value for one in feature.segments if one.value != OTHER})
        for place, feature in enumerate(snapshot.segments.features)
        for segment in feature.segments
    ]


@dataclass(frozen=True)
class Calm:
    """The stream as it is, with labels that are late, shuffled, missing and doubled, and what came
    of it.
    """

    rows: Scored
    run: Run
    windows: list[tuple[np.ndarray, np.ndarray, Snapshot]]
    """Which rows are joined and which are in the drift window, with the snapshot of these."""


@pytest.fixture(scope="module")
def calm(credit: World) -> Calm:
    rows, run = credit.stream(), Run(credit, PANE)
    return Calm(rows, run, list(windows(run, rows)))


def windows(run: Run, rows: Scored) -> Iterator[tuple[np.ndarray, np.ndarray, Snapshot]]:
    traffic, number = Traffic.of(rows), np.arange(len(rows.labels))
    for (taken, _, first, last), snapshot in zip(
        run.take(traffic, chunks=5), run.snapshots, strict=True
    ):
        labelled = [row for row in traffic.row_of[:taken] if row is not None]
        panes = number // PANE + 1
        joined = np.isin(number, labelled) & (first <= panes) & (panes <= last)
        closed = traffic.row_of[:taken].count(None) // PANE * PANE
        yield joined, (number >= closed - snapshot.window.rows) & (number < closed), snapshot


def test_every_segment_has_the_metrics_of_its_rows(credit: World, calm: Calm) -> None:
    """With labels late, shuffled, 10 % missing and 5 % doubled, each segment's rows, shares,
    accuracy and macro F1 are those of pandas and scikit-learn on exactly the rows that were joined,
    in every window; PSI is that of its rows' bins.
    """
    rows, compared = calm.rows, 0
    for joined, drift, snapshot in calm.windows:
        for place, segment, known in segments_of(snapshot):
            own = rows_of(rows, place, segment.value, known)
            assert segment.rows == (own & drift).sum()
            assert segment.share == pytest.approx((own & drift).sum() / snapshot.window.rows)
            held = rows_of(credit.reference, place, segment.value, known)
            assert segment.reference_share == pytest.approx(held.mean())
            chosen = np.flatnonzero(own & joined)
            assert segment.labelled == len(chosen)
            if not len(chosen):
                continue
            truth, said = (
                [rows.labels[row] for row in chosen],
                [rows.predictions[row] for row in chosen],
            )
            found = {one.name: one.value for one in segment.metrics}
            assert found["accuracy"] == pytest.approx(sk.accuracy_score(truth, said))
            assert found["f1_macro"] == pytest.approx(
                sk.f1_score(truth, said, average="macro", zero_division=0)
            )
            compared += 1
            for one in segment.drift:
                if one.name in {"AGE", "PAY_0", "LIMIT_BAL"}:
                    assert one.psi == pytest.approx(
                        _psi(credit, one.name, held, rows, own & drift), rel=1e-9
                    )
    assert compared > 20


def test_fairness_is_fairlearns_of_the_same_rows(calm: Calm) -> None:
    """In every window, by sex and by education, with rare values as one group: the ratio of the
    selection rates on the window's predictions, opportunity and odds on the rows that were joined,
    the default as outcome. A policy is needed for none of it, and no limit is there.
    """
    rows, compared = calm.rows, 0
    said, true = np.array(rows.predictions) == "1", np.array(rows.labels) == "1"
    for joined, drift, snapshot in calm.windows:
        assert snapshot.segments is not None
        assert snapshot.segments.outcome == "1"
        for place, feature in enumerate(snapshot.segments.features):
            known = {one.value for one in feature.segments}
            values = np.array([row[place] if row[place] in known else OTHER for row in rows.groups])
            found = [
                _difference(compute, true, said, values, chosen, of_rate)
                for compute, chosen, of_rate in (
                    (fl.demographic_parity_ratio, drift, drift),
                    (fl.true_positive_rate_difference, joined, joined & true),
                    (fl.false_positive_rate_difference, joined, joined & ~true),
                )
            ]
            if None not in found:
                ratio, hits, alarms = found
                expected = [ratio, hits, max(hits or 0.0, alarms or 0.0)]
                assert [one.value for one in feature.fairness] == pytest.approx(expected)
                assert {one.severity for one in feature.fairness} == {None}
                compared += 1
    assert compared >= 8


def _difference(
    compute: Callable[..., float],
    true: np.ndarray,
    said: np.ndarray,
    values: np.ndarray,
    chosen: np.ndarray,
    of_rate: np.ndarray,
) -> float | None:
    """Compare the groups that have 30 rows of those that a rate is of; None for fewer than two."""
    large = [value for value in set(values) if (values[of_rate] == value).sum() >= LEAST_ROWS]
    kept = chosen & np.isin(values, large)
    if len(large) < 2:
        return None
    return compute(true[kept], said[kept], sensitive_features=values[kept])


def _psi(world: World, name: str, held: np.ndarray, rows: Scored, own: np.ndarray) -> float:
    """Compute the PSI of a column within a segment from its values: bins by pandas, small ones
    pooled, and rare ones apart.
    """
    place = world.version.schema.names.index(name)
    column = world.version.reference.columns[place]
    bins = np.array(column.bin_of_cell)
    size = int(bins.max()) + 1
    sides = []
    for values in (world.reference.features[held, place], rows.features[own, place]):
        counts = pd.Series(bins[column.cells(values)]).value_counts()
        sides.append(np.array([counts.get(bin_, 0) for bin_ in range(size)]))
    p, q = sides
    expected = p * min(p.sum(), q.sum()) / p.sum()
    small = expected < 5
    rare = 0 < p[small].sum() < 0.01 * p.sum()
    if small.any() and expected[small].sum() < 5 and not rare:
        small[np.flatnonzero(~small)[np.argmin(expected[~small])]] = True
    pooled = [np.append(side[~small], side[small].sum()) if small.any() else side for side in sides]
    return population_stability(pooled[0], pooled[1], absent=max(1e-4, 0.5 / q.sum()))


def firing(alerts: list[Alert]) -> set[tuple[str, str]]:
    return {
        (alert.rule, alert.segment or alert.feature) for alert in alerts if alert.state == "firing"
    }


def run_of(credit: World, change: Change) -> Run:
    run = Run(credit, PANE)
    run.take(Traffic.of(credit.stream(change)), chunks=8)
    return run


def flipped(credit: World, *, everywhere: bool = False) -> Change:
    """Return how 40 % of the labels of one level of education flip, or a fifth of all."""
    random = np.random.default_rng(5)

    def flip(features: Any, labels: list[str]) -> tuple[Any, list[str]]:
        own = np.array([everywhere or row[0] == EDUCATION for row in credit.groups])
        share = 0.2 if everywhere else 0.4
        flips = own & (random.random(len(labels)) < share) & (np.arange(len(labels)) >= CHANGED_AT)
        return features, [
            ("1" if label == "0" else "0") if flips[row] else label
            for row, label in enumerate(labels)
        ]

    return flip


def test_a_fall_in_one_segment_is_named(credit: World) -> None:
    """When 40 % of the labels of one level of education flip, the alert of the model's accuracy
    says that all of its fall is there, and the segment's own alert is recorded as explained by it:
    people are told once. Of all segments that fall with it the incident names this one.
    """
    run = run_of(credit, flipped(credit))
    fired = firing(run.alerts)
    assert ("performance.accuracy", "") in fired
    assert {where for rule, where in fired if rule == "segment.performance"} >= {
        f"EDUCATION={EDUCATION}"
    }
    assert all("performance" in rule for rule, _ in fired)
    model = [
        alert
        for alert in run.alerts
        if alert.rule == "performance.accuracy" and alert.state == "firing"
    ]
    assert f"of it in EDUCATION={EDUCATION}" in model[-1].summary
    classes = [
        alert
        for alert in run.alerts
        if alert.rule == "performance.f1_macro" and alert.state == "firing"
    ]
    assert classes[-1].summary.endswith(
        f"worse in EDUCATION={EDUCATION}"
    )  # and not in both sexes, which are alike
    _, worse = [one for one in run.incidents if one.notify]
    assert f" accuracy in EDUCATION={EDUCATION} fell from 0.8" in worse.headline
    assert f"different in EDUCATION={EDUCATION}" in worse.advice
    assert (worse.change, worse.action) == ("severity", "retrain")
    assert "; over all rows accuracy fell from 0.8" in run.incidents[-1].headline
    assert run.current is not None
    assert f"all of it in EDUCATION={EDUCATION}" in run.current.verdict
    own = [alert for alert in run.current.alerts if alert.segment == f"EDUCATION={EDUCATION}"]
    assert [alert.inhibited_by for alert in own] == [model[-1].fingerprint]
    assert run.current.segments is not None
    first, second = run.current.segments.features
    assert first.explanation.startswith("accuracy 0.8")
    assert first.explanation.endswith(f"all of it in EDUCATION={EDUCATION}")
    assert second.explanation.endswith("in all values of SEX alike")
    for feature in (first, second):
        parts = [one.contribution or 0.0 for one in feature.segments]
        assert run.current.segments.value is not None
        assert run.current.segments.baseline is not None
        assert feature.mix is not None
        change = run.current.segments.value - run.current.segments.baseline
        assert sum(parts) + feature.mix == pytest.approx(change, abs=1e-12)


def test_a_fall_that_is_the_same_everywhere_is_no_matter_of_a_segment(credit: World) -> None:
    """When labels flip in all rows, the segments fall as well: the model is told."""
    run = run_of(credit, flipped(credit, everywhere=True))
    (last,) = {one.id: one for one in run.incidents}.values()
    assert last.cause.kind == "performance"
    assert any(one.segment for one in last.alerts)
    assert "EDUCATION" not in last.headline
    assert "SEX" not in last.headline


def test_drift_of_one_segment_is_found_though_all_rows_are_calm(credit: World) -> None:
    """When a feature moves among one in six of the rows alone, the PSI of all rows is below what
    matters: the segment is named, with the feature, and no column is by that rule.
    """

    def shift(features: Any, labels: list[str]) -> tuple[Any, list[str]]:
        own = np.array([row[0] == "3" for row in credit.groups]) & (
            np.arange(len(labels)) >= CHANGED_AT
        )
        place = credit.version.schema.names.index("AGE")
        features[own, place] = np.minimum(features[own, place] + 12, 70)
        return features, labels

    run = run_of(credit, shift)
    fired = firing(run.alerts)
    assert {one for one in fired if one[0] in {"psi", "segment.psi"}} == {
        ("segment.psi", "EDUCATION=3")
    }
    alert = next(one for one in run.alerts if one.rule == "segment.psi" and one.state == "firing")
    assert alert.summary.startswith("PSI of AGE ")
    assert alert.severity == "warning"
    assert alert.evidence.cells
    assert alert.evidence.m < run.policy.window_events


def test_without_change_no_segment_says_anything(calm: Calm) -> None:
    """The rest of the file, as it is, raises no alert of any segment, and explains no change, since
    there is none.
    """
    run = calm.run
    assert firing(run.alerts) == set()
    assert run.current is not None
    assert run.current.segments is not None
    assert {segment.severity for _, segment, _ in segments_of(run.current)} <= {
        "ok",
        "insufficient_data",
    }
