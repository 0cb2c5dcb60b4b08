"""Promises of the comparison of two samples."""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from driftgauge.consumer.commands.compare import compare
from driftgauge.consumer.offline import comparison
from driftgauge.shared.errors import BadData

numbers = st.lists(st.integers(-50, 50), min_size=1, max_size=60)


def frames(rows: int = 4000, seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    both = [
        pd.DataFrame(
            {f"x{place}": rng.normal(size=rows) for place in range(8)}
            | {"c": rng.choice(["a", "b", "=1+1"], rows)}
        )
        for _ in range(2)
    ]
    return both[0], both[1]


@settings(max_examples=80, deadline=None)
@given(numbers, numbers)
def test_statistics_of_arrays_are_scipys(reference: list[int], current: list[int]) -> None:
    """On raw arrays KS and Wasserstein equal SciPy's, ties and constants included."""
    found = comparison.statistics(reference, current)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # its p-value is undefined for a row or two
        exact = stats.ks_2samp(reference, current, method="asymp").statistic
    assert found["ks"].value == pytest.approx(exact, abs=1e-12)
    assert found["wasserstein"].value == pytest.approx(
        stats.wasserstein_distance(reference, current), abs=1e-12
    )


@settings(max_examples=80, deadline=None)
@given(numbers, numbers)
def test_chi_squared_and_jensen_shannon_of_categories_are_scipys(
    reference: list[int], current: list[int]
) -> None:
    """On raw categories chi-squared and Jensen-Shannon equal SciPy's on the table of counts."""
    before, after = ([str(value % 7) for value in values] for values in (reference, current))
    names = sorted({*before, *after})
    table = np.array([[values.count(name) for name in names] for values in (before, after)])
    found = comparison.statistics(before, after)
    new = [name for name in names if name not in before]
    if len(names) > 1 and len(new) < 2:  # several new categories are one bin here
        assert found["chi_squared"].p_value == pytest.approx(
            stats.chi2_contingency(table, correction=False).pvalue, abs=1e-9
        )
        assert found["jensen_shannon"].value == pytest.approx(
            distance.jensenshannon(*table, base=2), abs=1e-7
        )


def test_known_psi() -> None:
    """The PSI of the categories [3, 2, 2] against [1, 2, 3] is the published 2.934147."""
    assert comparison.of_samples("psi")(["1", "2", "3"], ["3", "2", "2"]).value == pytest.approx(
        2.934147, abs=1e-6
    )


def test_equal_samples_raise_no_alarm() -> None:
    """With a budget of .01 false alarms a comparison, 100 comparisons of undrifted frames alarm at
    most 6 times.

    The number of alarms is at most about Poisson with mean 1: more than 6 have probability below
    .0001.
    """
    alarms = sum(comparison.compare(*frames(seed=seed)).severity != "ok" for seed in range(100))
    assert alarms <= 6


def test_each_kind_of_drift_is_named() -> None:
    """A shift, missing values and a new category are each found in their own column, and nothing
    else is.
    """
    before, after = frames()
    after["x0"] += 1
    after.loc[after.index[:200], "x1"] = np.nan
    after.loc[after.index[:40], "c"] = "new"
    found = comparison.compare(before, after)
    reasons = {
        feature.name: feature.reason for feature in found.features if feature.severity != "ok"
    }
    assert reasons.keys() == {"x0", "x1", "c"}
    assert "PSI" in reasons["x0"]
    assert "missing" in reasons["x1"]
    assert "unseen" in reasons["c"]


def test_eight_rows_are_insufficient_data() -> None:
    """With 8 rows PSI is INSUFFICIENT_DATA, and the answer says what it needs."""
    before, after = frames()
    found = comparison.compare(before, after.head(8))
    assert found.severity == "insufficient_data"
    assert found.features[0].reason == "8 of 500 window rows"
    assert (
        comparison.compare(before.head(8), after).features[0].reason == "8 of 1000 reference rows"
    )


def test_features_and_exclusions() -> None:
    """Only the named features are compared; an excluded one is shown with its reason and judged by
    nobody.
    """
    before, after = frames()
    after["x0"] += 1
    found = comparison.compare(
        before, after, features=["x0", "x1"], exclude={"x0": "recalibrated in May"}
    )
    assert [(feature.name, feature.severity) for feature in found.features] == [
        ("x0", "excluded"),
        ("x1", "ok"),
    ]
    assert found.features[0].reason == "recalibrated in May"


@pytest.mark.parametrize(
    ("features", "drop", "needle"),
    [(["nope"], None, "no column nope"), (None, "x3", "lack these columns of the schema: x3")],
)
def test_missing_columns_are_named(
    features: list[str] | None, drop: str | None, needle: str
) -> None:
    """A column that is not there is an error that names it."""
    before, after = frames(600)
    with pytest.raises(BadData, match=needle):
        comparison.compare(before, after.drop(columns=[drop] if drop else []), features=features)


def test_empty_samples_are_refused() -> None:
    """Without a row there is nothing to compare, and that is said."""
    before, after = frames(600)
    with pytest.raises(BadData, match="current has no rows"):
        comparison.compare(before, after.head(0))
    with pytest.raises(BadData, match="no rows"):
        comparison.of_samples("psi")([], [1])


@pytest.mark.parametrize(
    ("shift", "fail_on", "code"),
    [
        (0, "warning", 0),
        (1, "warning", 1),
        (1, "critical", 1),
        (0.45, "warning", 1),
        (0.45, "critical", 0),
    ],
)
def test_exit_code(tmp_path: Path, shift: float, fail_on: str, code: int) -> None:
    """Drift at or above the wanted severity makes the exit code 1, so that a pipeline stops."""
    before, after = frames()
    after["x0"] += shift
    before.to_csv(tmp_path / "a.csv", index=False)
    after.to_csv(tmp_path / "b.csv", index=False)
    page = tmp_path / "report.html"
    arguments = [
        str(tmp_path / "a.csv"),
        str(tmp_path / "b.csv"),
        "--json",
        "--html",
        str(page),
        "--fail-on",
        fail_on,
    ]
    result = CliRunner().invoke(compare, arguments)
    assert result.exit_code == code, result.output
    assert len(json.loads(result.stdout)["features"]) == 9
    assert page.read_text().startswith("<!doctype html>")


def test_too_few_rows_have_an_exit_code_of_their_own(tmp_path: Path) -> None:
    """What could not be judged is neither 'no drift' nor 'drift'."""
    before, after = frames(600)
    before.to_csv(tmp_path / "a.csv", index=False)
    after.head(8).to_csv(tmp_path / "b.csv", index=False)
    result = CliRunner().invoke(compare, [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")])
    assert result.exit_code == 3
    assert "too few rows" in result.stdout
