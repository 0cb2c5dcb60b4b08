"""Promises of the comparison of two samples."""

import decimal
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import strategies as st

from driftgauge.consumer.commands.compare import compare
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.offline import comparison
from driftgauge.shared.errors import BadData
from driftgauge.shared.reporting.html import render_html

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


def test_equal_samples_raise_no_alarm() -> None:
    """With a budget of .01 false alarms a comparison, 40 comparisons of undrifted frames alarm at
    most 4 times.

    The number of alarms is at most about Poisson with mean .4: more than 4 have probability below
    .0001.
    """
    alarms = sum(comparison.compare(*frames(seed=seed)).severity != "ok" for seed in range(40))
    assert alarms <= 4


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


def test_a_named_column_that_is_nowhere_is_an_error() -> None:
    """A column that was asked for and that the reference lacks is an error that names it."""
    before, after = frames(600)
    with pytest.raises(BadData, match="no column nope"):
        comparison.compare(before, after, features=["nope"])
    with pytest.raises(BadData, match="no column nope"):
        comparison.compare(before, after, exclude=["nope"])


def test_one_bad_column_does_not_cost_the_others() -> None:
    """An absent column, one of another kind, one of lists and one with a reserved name are reported
    as such, and the drift of another is found.
    """
    before, after = frames()
    before = before.assign(prediction=1.0, nested=[[1]] * len(before))
    after = after.assign(x1="text", nested=[[1]] * len(after), prediction=1.0)
    after["x0"] += 1
    found = comparison.compare(before, after.drop(columns="x3"))
    reasons = {
        feature.name: feature.reason
        for feature in found.features
        if feature.severity == "unreadable"
    }
    assert reasons.keys() == {"x1", "x3", "prediction", "nested"}
    assert reasons["x3"] == "the current rows have no such column"
    assert "current: Column 'x1' is numeric in the schema" in reasons["x1"]
    assert "hold no single value" in reasons["nested"]
    assert "rename the column, or exclude it" in reasons["prediction"]
    assert [feature.name for feature in found.features] == list(before.columns)
    assert found.severity == "critical"
    assert found.verdict == (
        "4 of 11 columns cannot be compared (x1, x3, prediction and 1 more). Critical: 1 of 7 "
        "columns drifted (x0)."
    )
    assert "unreadable" in render_html(found)
    with pytest.raises(BadData, match="No column can be compared"):
        comparison.compare(before[["x1"]], after[["x1"]])


def test_a_name_of_several_columns_costs_itself_alone() -> None:
    """Two columns of one name, on either side, cannot be told apart; the others are judged."""
    before, after = frames()
    doubled = pd.concat([after, after[["x1"]]], axis=1)
    for pair in ((before, doubled), (pd.concat([before, before[["x1"]]], axis=1), after)):
        found = comparison.compare(*pair)
        [bad] = [one for one in found.features if one.severity == "unreadable"]
        assert (bad.name, bad.reason) == ("x1", "the name stands for more than one column")
        assert len(found.features) == 9


def test_a_user_column_named_prediction_is_excluded() -> None:
    """A column with a reserved name that is excluded is shown as such, and the others are
    judged.
    """
    before, after = frames()
    found = comparison.compare(
        before.assign(prediction=0.0), after.assign(prediction=9.0), exclude=["prediction"]
    )
    assert found.severity == "ok"
    assert found.features[-1].name == "prediction"
    assert (found.features[-1].severity, found.features[-1].reason) == (
        "excluded",
        "excluded by the caller",
    )


DTYPES = {
    "decimal": lambda values: [decimal.Decimal(str(round(value, 3))) for value in values],
    "duration": lambda values: pd.to_timedelta(values, unit="s"),
    "nullable": lambda values: pd.array(values, dtype="Float64"),
    "arrow": lambda values: pd.array(values, dtype="double[pyarrow]"),
    "whole": lambda values: pd.array((values * 100).astype(int), dtype="Int64"),
    "sparse": pd.arrays.SparseArray,
    "float32": lambda values: values.astype(np.float32),
}


@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype_of_numbers_is_judged_as_numbers(name: str) -> None:
    """Decimals, durations, nullable, Arrow's and sparse columns: the same law is ok, a shift of a
    standard deviation is not.
    """
    rng = np.random.default_rng(3)
    same, moved = rng.gamma(2, 5, 2000), rng.gamma(2, 5, 2000) + 7
    before = pd.DataFrame({"x": DTYPES[name](rng.gamma(2, 5, 3000))})
    for values, severity in ((same, "ok"), (moved, "critical")):
        [feature] = comparison.compare(before, pd.DataFrame({"x": DTYPES[name](values)})).features
        assert (feature.kind, feature.severity) == ("numeric", severity)


def test_names_that_are_no_texts() -> None:
    """Columns that are named by numbers or levels are compared by what these are written as."""
    rng = np.random.default_rng(4)
    before, after = (pd.DataFrame(rng.normal(size=(1500, 2))) for _ in range(2))
    found = comparison.compare(before, after, exclude=[1])
    assert [(one.name, one.severity) for one in found.features] == [("0", "ok"), ("1", "excluded")]
    levels = pd.MultiIndex.from_tuples([("x", "mean"), ("x", "sd")])
    found = comparison.compare(before.set_axis(levels, axis=1), after.set_axis(levels, axis=1))
    assert [one.name for one in found.features] == ["x.mean", "x.sd"]


def test_frames_of_another_library() -> None:
    """Tables of PyArrow are compared as pandas' are."""
    before, after = frames()
    both = [pa.Table.from_pandas(frame, preserve_index=False) for frame in (before, after)]
    found = comparison.compare(*both)
    expected = comparison.compare(before, after)
    assert [one.statistics for one in found.features] == [
        one.statistics for one in expected.features
    ]


def column_kinds(rows: int, seed: int) -> dict[str, object]:
    """A column of every kind that a frame may have."""
    random = np.random.default_rng(seed)
    numbers = random.normal(size=rows)
    names = random.choice(["a", "b"], rows)
    times = pd.date_range("2025-01-01", periods=rows, freq="h")
    return {
        "float": numbers,
        "infinite": np.where(numbers > 1, np.inf, numbers),
        "int": random.integers(0, 9, rows),
        "bool": random.choice([True, False], rows),
        "text": names,
        "number as text": [str(number) for number in numbers],
        "missing": [None] * rows,
        "nan": np.nan,
        "constant": 1.0,
        "mixed": [1, "a", None, 2.5] * (rows // 4),
        "decimal": [decimal.Decimal(place) for place in range(rows)],
        "time": times,
        "zoned": times.tz_localize("Europe/Berlin"),
        "date": [time.date() for time in times],
        "duration": pd.to_timedelta(numbers, unit="s"),
        "period": pd.period_range("2025-01-01", periods=rows, freq="D"),
        "category": pd.Categorical(names),
        "codes": pd.Categorical(random.integers(0, 3, rows)),
        "interval": pd.cut(numbers, 3),
        "nullable": pd.array([1, None] * (rows // 2), dtype="Int64"),
        "arrow": pd.array(names, dtype="string[pyarrow]"),
        "list": [[1]] * rows,
        "object": [{"a": 1}] * rows,
        "bytes": [b"a"] * rows,
        "complex": numbers + 1j,
        "long": [10**30] * rows,
    }


@pytest.mark.long
def test_any_column_against_any_other() -> None:
    """Whatever a column holds on one side and on the other, it is judged, or reported as one that
    cannot be; a good column beside it is judged as it is alone.
    """
    befores, afters = column_kinds(80, 1), column_kinds(80, 2)
    good = [np.random.default_rng(seed).normal(size=80) for seed in (3, 4)]
    policy = JudgingPolicy(min_window_rows=50, min_reference_rows=50)
    for before in befores.values():
        for after in afters.values():
            found = comparison.compare(
                pd.DataFrame({"z": good[0]}).assign(x=before),
                pd.DataFrame({"z": good[1]}).assign(x=after),
                policy=policy,
            )
            assert found.features[0].severity == "ok"
            assert [feature.name for feature in found.features] == ["z", "x"]


def test_empty_samples_are_refused() -> None:
    """Without a row there is nothing to compare, and that is said."""
    before, after = frames(600)
    with pytest.raises(BadData, match="current has no rows"):
        comparison.compare(before, after.head(0))


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


def test_what_is_out_of_range_does_not_hide_the_drift() -> None:
    """A column that moved by three standard deviations is said to have moved, and by how much,
    before it is said to lie beyond the reference's range.
    """
    random = np.random.default_rng(3)
    before, after = (pd.DataFrame({"x": random.normal(far, 1, 2000)}) for far in (0, 3))
    found = comparison.compare(before, after).features[0]
    assert found.severity == "critical"
    drift, beyond = found.reason.split("; ")
    assert drift.startswith("PSI ")
    assert "out of range" in beyond


def test_what_stands_beside_a_heavy_value_is_not_lost_in_it() -> None:
    """Nine values in ten are zero, and the rest is divided by four: few rows of it are pooled with
    each other, not with the zeros, so PSI shows it in 600 rows, and it alarms in 6,000.
    """
    found = []
    for rows in (600, 6000):
        random = np.random.default_rng(5)
        sizes = np.where(np.arange(rows) % 25 < 2, random.gamma(2, 200, rows), 0.0)
        before, after = pd.DataFrame({"x": sizes}), pd.DataFrame({"x": sizes / 4})
        (one,) = comparison.compare(pd.concat([before, before]), after).features
        found.append((one.severity, next(s.value for s in one.statistics if s.name == "psi")))
    (_, few), (severity, many) = found
    assert few is not None
    assert many is not None
    assert min(few, many) > 0.1
    assert severity in {"warning", "critical"}


@pytest.mark.parametrize(
    ("common", "rare"),
    [(0.0, 1.0), (1.0, 0.0), (True, False), ("a", "b"), (None, "b"), (None, 2.0)],
)
@pytest.mark.parametrize("rows", [4, 40])
def test_what_is_nearly_constant_in_the_reference_may_not_be_half_of_the_window(
    common: object, rare: object, rows: int
) -> None:
    """One row in a thousand has another value, which half of the window has: that is drift, though
    the reference has less than five such rows, or the window less than five that are expected.
    """
    before = pd.DataFrame({"x": [rare] * rows + [common] * (999 * rows)})
    after = pd.DataFrame({"x": [common, rare] * 500})
    (found,) = comparison.compare(before, after).features
    assert found.severity == "critical"
    assert found.reason.startswith("PSI ")
    assert comparison.compare(before, pd.DataFrame({"x": [common] * 999 + [rare]})).severity == "ok"


def test_values_of_a_column_that_was_all_missing_are_drift() -> None:
    """A reference of nothing but missing values says what is usual: that there is no value."""
    before = pd.DataFrame({"x": np.full(2000, np.nan)})
    found = comparison.compare(before, pd.DataFrame({"x": [np.nan, 1.0] * 500}))
    assert (found.severity, comparison.compare(before, before).severity) == ("critical", "ok")


def test_what_is_not_missing_is_not_lost_in_what_is() -> None:
    """Nine values in ten are missing, and the rest is divided by four: the mirror of zeros."""
    random = np.random.default_rng(5)
    sizes = np.where(np.arange(4000) % 25 < 2, random.lognormal(3, 1, 4000), np.nan)
    before, after = (pd.DataFrame({"x": sizes / by}) for by in (1, 4))
    (found,) = comparison.compare(before, after).features
    assert found.severity == "warning"
    assert "beside what is missing" in found.reason
    assert comparison.compare(before, before.sample(3000, random_state=1)).severity == "ok"
