"""Times from files, and the calibration of registered versions."""

import sys
from pathlib import Path

import joblib
import msgspec
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from sklearn.linear_model import LinearRegression

from driftgauge.__main__ import cli
from driftgauge.consumer.offline.calibrating import (
    TimedRows,
    make_calibration,
    parse_times,
    read_timeline,
)
from driftgauge.consumer.offline.calibration_plot import draw_png, plot, summary
from driftgauge.shared.errors import BadData, NotInstalled
from driftgauge.shared.reference.profile import ReferenceProfile
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import ModelRegistry, PublishedVersion
from tests.consumer.judging.weeks import rows, times
from tests.places import DATA

STEEL = DATA / "steel.csv"


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    """16 weeks, shuffled: the file's order is not that of time."""
    slow, noise, hour, state = rows(np.random.default_rng(0), 112)
    frame = pd.DataFrame(
        {
            "at": pd.to_datetime(times(112), unit="ms"),
            "slow": slow,
            "noise": noise,
            "hour": hour,
            "state": state,
            "score": slow,
        }
    )
    path = tmp_path / "reference.csv"
    frame.sample(frac=1, random_state=0).to_csv(path, index=False)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DRIFTGAUGE_REGISTRY_DIR", str(tmp_path / "registry"))
    return tmp_path / "registry"


def run(name: str, *arguments: str) -> Result:
    return CliRunner().invoke(cli(), [name, *arguments], catch_exceptions=False)


def register(reference: Path, *more: str) -> Result:
    return run(
        "models",
        "register",
        "plant",
        "--reference",
        str(reference),
        "--prediction-column",
        "score",
        *more,
    )


def test_registration_with_times_calibrates(reference: Path, folder: Path) -> None:
    """With a time column a registration tests the order by itself, stores it beside the version,
    and says what it found.
    """
    result = register(reference, "--time-column", "at")
    made = ModelRegistry(folder).load("plant", "1.0.0").calibration
    assert made is not None
    assert [feature.order for feature in made.features] == [
        "ordered",
        "exchangeable",
        "clock",
        "ordered",
        "ordered",
    ]
    assert "a function of the time of day" in result.output
    assert "false episodes per 30 days" in result.output
    assert made.created.startswith("20")


def test_registration_without_times_says_what_it_assumes(reference: Path, folder: Path) -> None:
    """Without a time column exchangeability is assumed, and that is told."""
    result = register(reference, "--exclude", "at")
    assert "taken as exchangeable" in result.output
    assert ModelRegistry(folder).load("plant", "1.0.0").calibration is None


def test_a_time_that_cannot_be_read_stores_nothing(reference: Path, folder: Path) -> None:
    """Times are read before anything is stored: the same version can be registered again with
    better ones.
    """
    frame = pd.read_csv(reference)
    frame["at"] = "some day"
    frame.to_csv(reference, index=False)
    with pytest.raises(BadData, match="cannot be read as times"):
        register(reference, "--time-column", "at")
    assert ModelRegistry(folder).registered() == []


def test_personal_features_are_calibrated_as_they_are_published(
    reference: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dropped feature has no part in a calibration, a hashed one as its hashes; the model that
    predicts gets both.
    """
    monkeypatch.setenv("DRIFTGAUGE_PII_KEY", "a key of sixteen")
    frame = pd.read_csv(reference)
    frame.insert(0, "phone", np.arange(len(frame)) % 7.0)
    frame = frame[["phone", "slow", "noise", "at"]]
    frame["customer"] = np.where(frame["slow"] > 1, 12.0, 11.0)
    frame.to_csv(reference, index=False)
    names = ["phone", "slow", "noise", "customer"]
    model = LinearRegression().fit(frame[names].to_numpy(), frame["slow"] + frame["phone"])
    joblib.dump(model, tmp_path / "model.joblib")
    features = [{"name": name, "kind": "numeric"} for name in names]
    features[-1]["pii"] = "hash"
    (tmp_path / "schema.json").write_bytes(msgspec.json.encode({"features": features}))
    result = run(
        "models",
        "register",
        "shop",
        "--reference",
        str(reference),
        "--time-column",
        "at",
        "--artifact",
        str(tmp_path / "model.joblib"),
        "--schema",
        str(tmp_path / "schema.json"),
    )
    assert result.exit_code == 0, result.output
    made = ModelRegistry(folder).load("shop", "1.0.0").calibration
    assert made is not None
    found = {feature.name: feature.order for feature in made.features}
    assert found == {
        "slow": "ordered",
        "noise": "exchangeable",
        "customer": "ordered",
        "prediction": "ordered",
    }
    assert "their order is not known" not in result.output
    assert (
        run("calibrate", "shop", "1.0.0", "--data", str(reference), "--time-column", "at").exit_code
        == 0
    )


def test_calibrate_again_needs_no_rows(reference: Path, folder: Path, tmp_path: Path) -> None:
    """A version that was registered with times is calibrated again from its days: the file is not
    needed any more.
    """
    register(reference, "--time-column", "at")
    before = ModelRegistry(folder).calibration("plant", "1.0.0")
    reference.unlink()
    result = run("calibrate", "plant", "1.0.0", "--png", str(tmp_path / "plot.png"))
    assert result.exit_code == 0
    after = ModelRegistry(folder).calibration("plant", "1.0.0")
    assert before is not None
    assert after is not None
    assert (after.features, after.realised) == (before.features, before.realised)
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_calibrate_with_rows(reference: Path, folder: Path) -> None:
    """A version without times is calibrated by a file that has them; the clock can be overruled,
    and stays so.
    """
    register(reference, "--exclude", "at")
    with pytest.raises(BadData, match="was registered without times"):
        run("calibrate", "plant", "1.0.0")
    given = ("--data", str(reference), "--time-column", "at", "--prediction-column", "score")
    run("calibrate", "plant", "1.0.0", *given, "--watch", "hour")
    run("calibrate", "plant", "1.0.0")
    made = ModelRegistry(folder).calibration("plant", "1.0.0")
    assert made is not None
    assert made.order["hour"] == "ordered"
    with pytest.raises(BadData, match="no feature nonsense"):
        run("calibrate", "plant", "1.0.0", "--watch", "nonsense")


def test_a_file_without_predictions_says_so(reference: Path, folder: Path) -> None:
    """Rows without predictions leave the prediction uncalibrated beside ordered features, unless
    the model makes them.
    """
    register(reference, "--time-column", "at")
    version = ModelRegistry(folder).load("plant", "1.0.0")
    made, remarks = make_calibration(version, TimedRows(reference, "at"))
    assert made.features[-1].order == "uncalibrated"
    assert "no predictions" in remarks[-1]
    fitted = LinearRegression().fit(np.eye(3), [1.0, 0.0, 0.0])
    numbers = [feature for feature in version.schema.features if feature.kind == "numeric"]
    schema = Schema(tuple(numbers), prediction="numeric")
    columns = [version.reference.columns[place] for place in (0, 1, 2, 4)]
    numeric = PublishedVersion(
        version.manifest, schema, ReferenceProfile(version.reference.rows, tuple(columns))
    )
    made, remarks = make_calibration(numeric, TimedRows(reference, "at"), estimator=fitted)
    assert made.features[-1].order == "ordered"
    assert not any("predictions" in remark for remark in remarks)
    with pytest.raises(BadData, match="has no column when"):
        read_timeline(version, TimedRows(reference, "when"))


def test_a_calibration_as_a_person_sees_it(
    reference: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plot marks each threshold beyond what is usual; a name cannot move the cursor. Without
    matplotlib the picture's error names the pip line.
    """
    register(reference, "--time-column", "at")
    made = ModelRegistry(folder).calibration("plant", "1.0.0")
    assert made is not None
    drawn = plot(made).splitlines()
    assert len(drawn) == 4
    assert all("█" in line and line.endswith("┃") for line in drawn[1:])
    assert any("2 ordered" in line or "3 ordered" in line for line in summary(made))
    draw_png(made, "a $title$", tmp_path / "a.png")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(NotInstalled, match=r"driftgauge\[plot\]"):
        draw_png(made, "title", tmp_path / "b.png")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([0, 60], [0, 60_000]),
        ([1_700_000_000_000, 1_700_000_060_000], [1_700_000_000_000, 1_700_000_060_000]),
        (["2024-01-01T00:00:00+01:00"], [1_704_063_600_000]),
        (["31/12/2023", "01/01/2024"], [1_703_980_800_000, 1_704_067_200_000]),
    ],
)
def test_times_are_read(given: list[object], expected: list[int]) -> None:
    """Seconds, ms, zones, and days written first."""
    assert parse_times(pd.Series(given), "f")[0].tolist() == expected


@pytest.mark.parametrize("given", [["yesterday"], ["2024-01-01", None], [[1]]])
def test_what_is_no_time_is_refused(given: list[object]) -> None:
    """A time that is missing or unreadable is a clear error, naming file and column."""
    with pytest.raises(BadData, match=r"f\.csv"):
        parse_times(pd.Series(given, name="at"), "f.csv")


def test_rows_that_run_backwards_are_sorted_and_told() -> None:
    """Any other step backwards is told; nothing is moved."""
    found, remarks = parse_times(pd.Series(["2024-01-02", "2024-01-01T10:00"]), "f")
    assert (np.diff(found) < 0).all()
    assert "runs backwards 1 times" in remarks[0]


@pytest.mark.skipif(
    not STEEL.exists(), reason="needs ../shared/data/steel.csv, see the README of that folder"
)
def test_midnights_of_the_steel_file() -> None:
    """Each midnight of the public file carries the date of the day that ended: mended, a year has
    no gap.
    """
    found, remarks = parse_times(pd.read_csv(STEEL)["date"], "steel.csv")
    assert set(np.diff(found).tolist()) == {900_000}
    assert remarks[0].startswith("365 midnights")
