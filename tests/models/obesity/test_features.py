from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from driftgauge.models.obesity.features import (
    ANSWERS,
    CLASSES,
    FEATURES,
    RANGES,
    REQUIRED,
    SCHEMA,
    TARGET,
    engineer,
    read_raw,
)
from driftgauge.models.obesity.simulate import People
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.frames import rows_of
from driftgauge.shared.versions.agreement import faults_of


def row() -> dict[str, object]:
    return dict(rows_of(People(0).labelled(1).features, SCHEMA)[0])


def test_there_are_sixteen_features_in_the_order_of_the_file(data: Path) -> None:
    """Stream order is that of the file's columns, the target last."""
    header = (data / "obesity.csv").read_text().splitlines()[0].split(",")
    assert [*FEATURES, TARGET] == header
    assert len(FEATURES) == 16
    assert {*ANSWERS, *RANGES} == set(FEATURES)


@pytest.mark.parametrize("name", RANGES)
def test_a_number_out_of_its_range_is_refused(name: str) -> None:
    """Both ends of a declared range are answers, and whatever lies beyond is not."""
    low, high = RANGES[name]
    for value, wrong in ((low, False), (high, False), (low - 0.01, True), (high + 0.01, True)):
        faults = SCHEMA.positional({**row(), name: value})[1]
        assert [fault.field for fault in faults] == ([f"/features/{name}"] if wrong else [])


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_nobody_can_give_is_refused(name: str) -> None:
    """The declared answers are accepted; any other text, and a number, is not."""
    for value in (*ANSWERS[name], "perhaps", 1):
        faults = SCHEMA.positional({**row(), name: value})[1]
        assert bool(faults) == (value not in ANSWERS[name])


@pytest.mark.parametrize("name", FEATURES)
def test_only_age_and_body_are_required(name: str) -> None:
    """Any question but age, height and weight may be left unanswered."""
    assert bool(SCHEMA.positional({**row(), name: None})[1]) == (name in REQUIRED)


def test_every_row_of_the_file_fits_the_schema(data: Path) -> None:
    """No range or answer was declared that real people exceed, and every class occurs."""
    raw = read_raw(data / "obesity.csv")
    assert faults_of(engineer(raw), SCHEMA) == []
    assert set(raw[TARGET]) == set(CLASSES) == set(SCHEMA.classes)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [("Age", "old", "Age must be numeric"), (TARGET, "Huge", "Huge; known are")],
)
def test_unusable_values_are_refused(tmp_path: Path, column: str, value: str, message: str) -> None:
    """A value of another kind is refused with its column, not read as something else."""
    file = tmp_path / "people.csv"
    People(0).rows(3).assign(**{column: value}).to_csv(file, index=False)
    with pytest.raises(BadData, match=message):
        read_raw(file)


def test_missing_columns_are_named(tmp_path: Path) -> None:
    """A file that lacks columns is refused, and the message names each of them."""
    file = tmp_path / "people.csv"
    People(0).rows(3).drop(columns=["SMOKE", TARGET]).to_csv(file, index=False)
    with pytest.raises(BadData, match="SMOKE, NObeyesdad"):
        read_raw(file)


def test_no_answer_stays_no_answer() -> None:
    """An empty cell of either kind becomes null in the stream, and no text such as 'nan'."""
    raw = People(0).rows(1).astype({"FAVC": object}).assign(FAVC=None, FAF=np.nan)
    given = rows_of(engineer(pd.DataFrame(raw)), SCHEMA)[0]
    assert (given["FAVC"], given["FAF"]) == (None, None)
