from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from driftgauge.models.credit.features import (
    CALENDAR,
    CODES,
    DATE,
    DELAYS,
    EXCLUDED,
    FEATURES,
    NUMERIC,
    PAYMENTS,
    RAW,
    REQUIRED,
    SCHEMA,
    TARGET,
    engineer,
    in_time_order,
    labels_of,
    read_raw,
)
from driftgauge.models.credit.simulate import CardHolders
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.frames import rows_of
from driftgauge.shared.versions.agreement import faults_of


@pytest.fixture(scope="module")
def real(data: Path) -> pd.DataFrame:
    return read_raw(data / "credit_default.csv")


def test_the_file_has_no_date_and_the_calendar_is_missing(real: pd.DataFrame) -> None:
    """Without a date the calendar features are missing, which the schema allows; every row fits
    it.
    """
    features = engineer(real)
    assert DATE not in real.columns
    assert features[list(CALENDAR)].isna().all(axis=None)
    assert faults_of(features, SCHEMA) == []
    assert tuple(features.columns) == FEATURES == SCHEMA.names


def test_undocumented_codes_stay_what_they_are(real: pd.DataFrame) -> None:
    """EDUCATION 0, 5, 6 and MARRIAGE 0 are categories of their own, as text; a code never seen is
    not refused.
    """
    features = engineer(real)
    assert set(features["EDUCATION"]) == set("0123456")
    assert set(features["MARRIAGE"]) == set("0123")
    row = {**rows_of(features[:1], SCHEMA)[0], "EDUCATION": "7"}
    assert SCHEMA.positional(row)[1] == []
    assert SCHEMA.positional({**row, "SEX": "3"})[1] != []


def test_the_calendar_is_excluded_from_drift_with_its_reason() -> None:
    """Exactly the calendar features are left out of drift, each with a reason, and a date makes
    them a full cycle.
    """
    assert {
        feature.name: feature.excluded for feature in SCHEMA.features if feature.excluded
    } == EXCLUDED
    assert set(EXCLUDED) == set(CALENDAR)
    assert all(EXCLUDED.values())
    raw = (
        CardHolders(0)
        .rows(4)
        .assign(**{DATE: pd.to_datetime(["2024-01-31", "2024-04-01", "2024-07-15", "2024-10-09"])})
    )
    cycle = engineer(raw)[list(CALENDAR)].to_numpy()
    assert cycle == pytest.approx(np.array([[0, 1], [1, 0], [0, -1], [-1, 0]]), abs=1e-12)


def test_ratios_of_a_known_row() -> None:
    """Use of the limit, paid share and delays are what one computes by hand."""
    amounts = {f"BILL_AMT{month}": 100.0 * month for month in range(1, 7)} | dict.fromkeys(
        PAYMENTS, 50.0
    )
    delays = {**dict.fromkeys(DELAYS, -1), "PAY_3": 2, "PAY_6": 4}
    raw = CardHolders(0).rows(1).assign(LIMIT_BAL=1000.0, **amounts, **delays)
    features = engineer(raw).iloc[0]
    assert features["utilisation"] == pytest.approx(0.1)
    assert features["mean_utilisation"] == pytest.approx(0.35)
    assert features["paid_share"] == pytest.approx(0.3)
    assert (features["worst_delay"], features["months_late"]) == (4, 2)


def test_target_is_never_read() -> None:
    """No feature leaks the target: rows without it give the same features."""
    raw = CardHolders(0).rows(50)
    pd.testing.assert_frame_equal(engineer(raw), engineer(raw.drop(columns=[TARGET])))


@pytest.mark.parametrize("name", ["BILL_AMT3", "PAY_AMT2", "PAY_4", "EDUCATION", "AGE"])
def test_what_is_missing_is_missing_in_what_needs_it(name: str) -> None:
    """A missing reading is null in every feature that needs it, never a number made up, and the
    request is taken.
    """
    raw = CardHolders(0).rows(2)
    raw[name] = np.nan
    row = rows_of(engineer(raw), SCHEMA)[0]
    needs = {
        "BILL_AMT3": {"mean_utilisation"},
        "PAY_AMT2": {"paid_share"},
        "PAY_4": {"worst_delay", "months_late"},
    }
    assert {key for key, value in row.items() if value is None} == {name, *needs.get(name, set())}
    assert SCHEMA.positional(row)[1] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LIMIT_BAL", 0),
        ("AGE", 17),
        ("PAY_0", 10),
        ("PAY_AMT1", -1),
        ("months_late", 7),
        ("month_sin", 1.5),
        ("PAY_0", None),
    ],
)
def test_values_out_of_range_are_refused(name: str, value: float | None) -> None:
    """What cannot be is a fault of that field: ranges are declared, and limit and latest delay are
    required.
    """
    row = {**rows_of(CardHolders(0).labelled(1).features, SCHEMA)[0], name: value}
    assert [fault.field for fault in SCHEMA.positional(row)[1]] == [f"/features/{name}"]
    assert set(REQUIRED) == {feature.name for feature in SCHEMA.features if not feature.nullable}


def test_rows_are_brought_into_the_order_of_their_dates() -> None:
    """With dates rows are sorted, those of a day as they stand; without, the order of the file is
    kept.
    """
    raw = pd.DataFrame(
        {DATE: pd.to_datetime(["2024-02-01", "2024-01-01", "2024-02-01", "2024-01-01"])}
    )
    assert in_time_order(raw).index.tolist() == [1, 3, 0, 2]
    assert in_time_order(raw.drop(columns=DATE)).index.tolist() == [0, 1, 2, 3]


def test_a_file_with_dates_is_read_back(tmp_path: Path) -> None:
    """Simulated rows survive the way through a file: features, labels and dates."""
    file = tmp_path / "cards.csv"
    raw = CardHolders(0).rows(50)
    raw.to_csv(file, index=False)
    back = read_raw(file)
    pd.testing.assert_frame_equal(engineer(back), engineer(raw))
    assert (labels_of(back) == labels_of(raw)).all()
    assert {*CODES, *NUMERIC} == set(FEATURES)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("AGE", "old", "AGE must be numeric"),
        (TARGET, 2, "has 2; known are 0 and 1"),
        (DATE, "1/2/24", "date must look like"),
    ],
)
def test_unusable_values_are_refused(
    tmp_path: Path, column: str, value: object, message: str
) -> None:
    """A value of another kind is refused with its column, not read as something else."""
    file = tmp_path / "cards.csv"
    CardHolders(0).rows(3).assign(**{column: value}).to_csv(file, index=False)
    with pytest.raises(BadData, match=message):
        read_raw(file)


def test_missing_columns_are_named(tmp_path: Path) -> None:
    """A file that lacks columns is refused, and the message names each of them."""
    file = tmp_path / "cards.csv"
    CardHolders(0).rows(3)[list(RAW)].drop(columns=["PAY_0"]).to_csv(file, index=False)
    with pytest.raises(BadData, match=r"PAY_0, default\.payment"):
        read_raw(file)
