"""Labels of real files: what is measured equals scikit-learn on the joined rows; a flip is found,
and drift that touches nothing stays a hint.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics as sk
from sklearn.ensemble import HistGradientBoostingClassifier

from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.shared.contract.snapshot import MetricReport
from driftgauge.shared.performance import Layout, Sums, Worth, metrics
from tests.consumer.labelled_world import Run, Scored, Traffic, World
from tests.places import DATA

FILES = DATA
PANE = {"credit": 250, "obesity": 50}
"""Events of a pane."""
WORTH = Worth("NT$", {"0": {"0": 40, "1": -15}, "1": {"0": -600, "1": 0}})
"""What a lender may earn with a payer, and lose with a late one who was taken for a payer."""


def numeric(path: Path, target: str, leave_out: list[str]) -> tuple[pd.DataFrame, list[str]]:
    frame = pd.read_csv(path)
    features = frame.drop(columns=[target, *leave_out]).select_dtypes("number")
    return features.astype(np.float64), frame[target].astype(str).tolist()


@pytest.fixture(scope="module")
def credit() -> World:
    path = FILES / "credit_default.csv"
    if not path.exists():
        pytest.skip(f"the UCI credit-default file is not at {path}")
    features, labels = numeric(
        path, "default.payment.next.month", ["ID", "SEX", "EDUCATION", "MARRIAGE"]
    )
    model = HistGradientBoostingClassifier(max_iter=30, max_leaf_nodes=15, random_state=0)
    return World.of(features, labels, model, fitted=10_000, reference=8_000)


@pytest.fixture(scope="module")
def obesity() -> World:
    path = FILES / "obesity.csv"
    if not path.exists():
        pytest.skip(f"the UCI obesity file is not at {path}")
    features, labels = numeric(path, "NObeyesdad", [])
    model = HistGradientBoostingClassifier(max_iter=15, max_leaf_nodes=7, random_state=0)
    return World.of(features, labels, model, fitted=500, reference=500)


def joined(traffic: Traffic, taken: int, panes: range, size: int) -> list[int]:
    """Return the rows whose label came, and whose prediction is in the window's panes."""
    labelled = {row for row in traffic.row_of[:taken] if row is not None}
    return sorted(row for row in labelled if row // size + 1 in panes)


def scikit(rows: Scored, chosen: list[int], classes: tuple[str, ...]) -> dict[str, float]:
    truth = [rows.labels[row] for row in chosen]
    said = [rows.predictions[row] for row in chosen]
    given = rows.probabilities[chosen]
    codes = [classes.index(label) for label in truth]
    found = {
        "accuracy": sk.accuracy_score(truth, said),
        "log_loss": sk.log_loss(codes, given, labels=range(len(classes))),
        **{
            f"{kind}_{average}": compute(truth, said, average=average, zero_division=0)
            for kind, compute in (
                ("f1", sk.f1_score),
                ("precision", sk.precision_score),
                ("recall", sk.recall_score),
            )
            for average in ("macro", "weighted")
        },
    }
    if len(classes) == 2:
        found |= {
            "brier": sk.brier_score_loss(codes, given[:, 1]),
            "roc_auc": sk.roc_auc_score(codes, given[:, 1]),
        }
    return found


@pytest.mark.parametrize("name", ["credit", "obesity"])
def test_every_window_has_scikit_learns_metrics(name: str, request: pytest.FixtureRequest) -> None:
    """With labels late, shuffled, 10 % missing and 5 % doubled, every window's metrics equal
    scikit-learn's on exactly the rows that were joined.
    """
    world: World = request.getfixturevalue(name)
    rows = world.stream()
    traffic = Traffic.of(rows)
    seen = Run(world, PANE[name]).take(traffic)
    compared = 0
    for taken, performance, first, last in seen:
        chosen = joined(traffic, taken, range(first, last + 1), PANE[name])
        assert performance.labelled == len(chosen)
        found = {one.name: one for one in performance.metrics}
        for metric, value in (
            scikit(rows, chosen, world.version.schema.classes).items() if len(chosen) > 50 else ()
        ):
            assert found[metric].value == pytest.approx(value, abs=found[metric].bound + 1e-9), (
                metric,
                taken,
            )
            compared += 1
        if performance.confusion is not None:
            truth, said = ([of[row] for row in chosen] for of in (rows.labels, rows.predictions))
            expected = sk.confusion_matrix(truth, said, labels=world.version.schema.classes)
            assert performance.confusion.matrix == expected.tolist()
    assert compared > 40
    assert seen[-1][1].coverage is not None
    assert 0.8 < seen[-1][1].coverage <= 0.9 + 0.02


def test_a_flip_of_labels_is_alerted_as_performance(credit: World) -> None:
    """When one label in five flips and no feature moves, a critical performance alert fires, and no
    drift alert does.
    """
    random = np.random.default_rng(5)

    def flip(features: Any, labels: list[str]) -> tuple[Any, list[str]]:
        flips = (random.random(len(labels)) < 0.2) & (np.arange(len(labels)) >= 5000)
        return features, [
            ("1" if label == "0" else "0") if flips[row] else label
            for row, label in enumerate(labels)
        ]

    run = Run(credit)
    run.take(Traffic.of(credit.stream(flip)))
    fired = {(alert.rule, alert.severity) for alert in run.alerts if alert.state == "firing"}
    assert ("performance.accuracy", "critical") in fired
    assert all(rule.startswith("performance.") for rule, _ in fired)
    first = next(alert for alert in run.alerts if alert.state == "firing")
    assert first.evidence.window_end > first.evidence.window_start
    assert first.evidence.events < 5000 + 4000


@pytest.mark.long
def test_drift_that_does_not_touch_the_target_stays_a_warning(credit: World) -> None:
    """When a feature moves far that the model hardly uses, the labels say that all is well: a
    warning, nothing critical.
    """

    def shift(features: Any, labels: list[str]) -> tuple[Any, list[str]]:
        age = credit.version.schema.names.index("AGE")
        late = np.arange(len(features)) >= 5000
        features[late, age] = np.where(
            features[late, age] < 45, features[late, age] + 12, features[late, age]
        )
        return features, labels

    run = Run(credit)
    run.take(Traffic.of(credit.stream(shift)))
    fired = {
        (alert.feature, alert.rule, alert.severity)
        for alert in run.alerts
        if alert.state == "firing"
    }
    assert ("AGE", "psi", "warning") in fired
    assert {severity for _, _, severity in fired} == {"warning"}


@pytest.mark.long
@pytest.mark.parametrize("worth", [None, WORTH])
def test_without_change_nothing_is_said(credit: World, worth: Worth | None) -> None:
    """The rest of the file, as it is, raises no alert: neither of performance nor of drift, nor of
    what the predictions are worth.
    """
    run = Run(credit, policy=JudgingPolicy(value=worth))
    run.take(Traffic.of(credit.stream()))
    assert [alert for alert in run.alerts if alert.state == "firing"] == []


@pytest.mark.long
@pytest.mark.parametrize("name", ["credit", "obesity"])
def test_every_window_has_the_labels_of_its_joined_rows(
    name: str, request: pytest.FixtureRequest
) -> None:
    """With labels late, shuffled, missing, doubled, and one in ten corrected, the PSI and the
    chi-squared of every window's labels equal those that numpy and scipy give for exactly the
    joined rows, each with the label that it has by then.
    """
    world: World = request.getfixturevalue(name)
    traffic = Traffic.of(world.stream(), corrected=0.1)
    run = Run(world, PANE[name])
    compared = 0
    for taken, performance, first, last in run.take(traffic):
        said = {
            row: traffic.labels[place]
            for place, row in enumerate(traffic.row_of[:taken])
            if row is not None
        }
        labels = [
            label for row, label in said.items() if row // PANE[name] + 1 in range(first, last + 1)
        ]
        assert performance.target is not None
        assert performance.labelled == len(labels)
        table = np.array(
            [
                [truth.count(label) for label in world.version.schema.classes]
                for truth in (world.reference_labels, labels)
            ]
        )
        if len(labels) < 200:
            continue
        found = {one.name: one for one in performance.target.statistics}
        p, q = table / table.sum(axis=1, keepdims=True)
        assert found["psi"].value == pytest.approx(float(((q - p) * np.log(q / p)).sum()), rel=1e-9)
        expected = stats.chi2_contingency(table, correction=False)
        assert found["chi_squared"].value == pytest.approx(expected.statistic, rel=1e-9)
        assert found["chi_squared"].p_value == pytest.approx(expected.pvalue, rel=1e-6)
        assert dict(
            zip(
                performance.target.histogram.labels or [],
                performance.target.histogram.window,
                strict=True,
            )
        ) == {
            label: pytest.approx(labels.count(label) / len(labels), abs=1e-6)
            for label in world.version.schema.classes
        }
        compared += 1
    assert compared > 5
    assert run.current is not None
    assert run.current.performance is not None
    assert run.current.performance.corrected > 50


@pytest.mark.long
def test_other_shares_of_the_classes_are_target_drift(credit: World) -> None:
    """When late payers are three times as frequent, each of them as before, the labels drift: a
    warning that names them.
    """
    random = np.random.default_rng(6)

    def more(features: Any, labels: list[str]) -> tuple[Any, list[str]]:
        late = [row for row, label in enumerate(labels) if label == "1"]
        chosen = np.arange(len(labels))
        drawn = (random.random(len(labels)) < 0.5) & (chosen >= 5000)
        chosen[drawn] = random.choice(late, int(drawn.sum()))
        return features[chosen], [labels[row] for row in chosen]

    run = Run(credit)
    run.take(Traffic.of(credit.stream(more)))
    found = [alert for alert in run.alerts if alert.feature == "label" and alert.state == "firing"]
    assert found
    assert (found[0].rule, found[0].severity) == ("psi", "warning")
    assert found[0].evidence.events > 5000
    assert found[0].evidence.m >= 500
    cell = next(cell for cell in found[0].evidence.cells if cell.label == "1")
    assert cell.window > 1.5 * cell.reference
    assert run.current is not None
    assert run.current.performance is not None
    assert run.current.performance.target is not None
    assert run.current.performance.target.severity == "warning"
    assert "label" in run.current.verdict


def value(report: MetricReport) -> float:
    assert report.value is not None
    return report.value


@pytest.mark.long
def test_the_estimate_is_near_the_fact_and_follows_who_is_scored(credit: World) -> None:
    """On held-out rows the estimate holds the truth within its interval, also of what the
    predictions are worth; it follows when other people are scored, without a label.
    """
    everybody = credit.stream()
    late = everybody.features[:, credit.version.schema.names.index("PAY_0")] >= 1
    chosen = np.flatnonzero(late | (np.arange(len(late)) % 6 == 0))
    risky = Scored(
        everybody.features[chosen],
        [everybody.predictions[row] for row in chosen],
        [everybody.labels[row] for row in chosen],
        everybody.probabilities[chosen],
    )
    falls = {}
    for name, rows in (("everybody", everybody), ("risky", risky)):
        run = Run(credit, policy=JudgingPolicy(value=WORTH))
        run.take(Traffic.of(rows), chunks=4)
        assert run.current is not None
        assert run.current.performance is not None
        window = run.current.window.rows
        last = len(rows.labels) // PANE["credit"] * PANE["credit"]
        part = slice(last - window, last)
        layout = Layout.of(credit.version.schema, credit.version.reference)
        assert layout is not None
        truth = metrics(
            Sums.of(layout, rows.predictions[part], rows.labels[part], rows.probabilities[part]),
            worth=WORTH,
        )
        estimated = {one.name for one in run.current.performance.estimated}
        assert estimated >= {"accuracy", "f1_macro", "roc_auc", "value"}
        for one in run.current.performance.estimated:
            if one.name in {"accuracy", "f1_macro", "roc_auc", "value"}:
                fact = truth[one.name].value
                assert one.low is not None
                assert one.high is not None
                assert fact is not None
                assert one.low <= fact <= one.high, (name, one, fact)
        falls[name] = value(
            next(one for one in run.current.performance.estimated if one.name == "accuracy")
        )
    assert falls["risky"] < falls["everybody"] - 0.05
