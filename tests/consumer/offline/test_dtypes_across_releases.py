"""What a column is taken as, and what a model answers, does not hang on the release of pandas.

The values stand in dtypes.json, which was written with pandas 3; `.ci/lowest` runs this file with
the oldest pandas that is allowed (2.2), where texts have another dtype, and missing ones another
marker.
"""

import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from sklearn.tree import DecisionTreeRegressor

from driftgauge.consumer.offline.comparison import Plan
from driftgauge.consumer.offline.registration import register_version
from driftgauge.consumer.offline.submission import Submission
from driftgauge.shared.reference.columns.choices import Choices
from driftgauge.shared.reference.profile import Column
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.tables.frames import plain, plain_frame
from driftgauge.shared.versions.model_frame import model_frame

KNOWN = json.loads(Path(__file__).with_name("dtypes.json").read_text())
ROWS = 240
TEXTS = ("plan", "code", "flag")
ASKED = ({"plan": "gold"}, {"plan": None}, {"plan": "never seen"}, {"code": None}, {"age": None})


def values() -> dict[str, list[Any]]:
    """Rows of every kind, as a database would give them: what is missing is None."""
    places = range(ROWS)
    return {
        "plan": [None if row % 7 == 3 else ("gold", "plus", "basic")[row % 3] for row in places],
        "code": [None if row % 11 == 5 else f"{row % 9:03d}" for row in places],
        "flag": [(True, False)[row * row % 5 % 2] for row in places],
        "age": [None if row % 13 == 6 else 20.5 + row * 7 % 50 for row in places],
        "visits": [row * 5 % 17 for row in places],
        "joined": [f"2025-{1 + row % 12:02d}-{1 + row % 28:02d}" for row in places],
    }


def truth(rows: dict[str, list[Any]]) -> list[float]:
    worth = {None: 16.0, "gold": 9.0, "plus": -2.0, "basic": 1.0}
    columns = zip(rows["plan"], rows["code"], rows["age"], rows["visits"], strict=True)
    return [
        worth[plan] + 3 * (code == "003") + (age or 0) / 10 + visits
        for plan, code, age, visits in columns
    ]


def fitted(path: Path) -> None:
    """Fit a model on the rows as objects and floats, which no release of pandas changes."""
    rows = values()
    frame = pd.DataFrame(
        {
            name: pd.Series(
                [np.nan if value is None else value for value in rows[name]],
                dtype=object if name in TEXTS else np.float64,
            )
            for name in (*TEXTS, "age", "visits")
        }
    )
    frame["flag"] = frame["flag"].astype(bool)
    ordinal = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-9, encoded_missing_value=-1
    )
    columns = make_column_transformer((ordinal, ["plan", "code"]), remainder="passthrough")
    tree = DecisionTreeRegressor(max_depth=6, random_state=0)
    joblib.dump(make_pipeline(columns, tree).fit(frame, truth(rows)), path)


def csv(path: Path) -> None:
    rows = values()
    lines = [",".join(rows)]
    lines += [
        ",".join("" if value is None else str(value) for value in row)
        for row in zip(*rows.values(), strict=True)
    ]
    path.write_text("\n".join(lines) + "\n")


def json_lines(path: Path) -> None:
    rows = values()
    path.write_text(
        "".join(
            json.dumps(dict(zip(rows, row, strict=True))) + "\n"
            for row in zip(*rows.values(), strict=True)
        )
    )


def parquet(path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(values()), path)


WRITERS = {"csv": csv, "jsonl": json_lines, "parquet": parquet}


def registered(folder: Path, kind: str) -> tuple[Schema, list[float | None]]:
    """Register the model with a reference of a format; return its schema, and what it answers to
    the rows of `ASKED`, each in a call of its own.
    """
    path, artifact = folder / f"rows.{kind}", folder / "fitted.joblib"
    WRITERS[kind](path)
    fitted(artifact)
    registry = ModelRegistry(folder / "registry")
    choices = Choices(types={"code": "categorical"})
    _, published = register_version(
        registry, Submission("m", path, artifact=artifact, choices=choices)
    )
    schema = published.schema
    estimator = registry.load_artifact("m", "1.0.0")
    usual = {"plan": "plus", "code": "004", "flag": 1.0, "age": 40.5, "visits": 3.0}
    answers = []
    for asked in ASKED:
        row = {**usual, **asked}
        columns: list[Column] = [
            [row[name]]
            if isinstance(row[name], str) or name in {"plan", "code"}
            else np.array([row[name]], dtype=np.float64)
            for name in schema.names
        ]
        answers.append(float(estimator.predict(model_frame(schema, columns, named=True))[0]))
    return schema, answers


@pytest.mark.parametrize("kind", list(WRITERS))
def test_a_registered_reference_is_taken_the_same(tmp_path: Path, kind: str) -> None:
    """Kind, dtype, missing marker and nullability of every feature, and the predictions of rows
    with and without missing values, are those that any other release of pandas gives.
    """
    schema, answers = registered(tmp_path, kind)
    known = KNOWN["registered"]
    assert {
        one.name: [one.kind, one.model_dtype, one.missing, one.nullable] for one in schema.features
    } == known["features"]
    assert answers == pytest.approx(known["answers"])


def frames() -> dict[str, pd.Series]:
    """A column of every dtype that both releases have, beside what each makes of plain values."""
    names: list[Any] = ["a", None, "b", "a"] * 30
    numbers: list[Any] = [1.5, None, 2.0, 3.25] * 30
    whole: list[Any] = [1, None, 2, 7] * 30
    answers: list[Any] = [True, None, False, True] * 30
    days = [f"2025-01-{1 + row % 28:02d}" for row in range(120)]
    return {
        "text, as pandas infers it": pd.Series(names),
        "text, objects": pd.Series(names, dtype=object),
        "text, objects with NaN": pd.Series(names, dtype=object).fillna(np.nan),
        "text, string": pd.Series(names, dtype="string"),
        "text, category": pd.Series(names, dtype="category"),
        "numbers, as pandas infers them": pd.Series(numbers),
        "numbers, objects": pd.Series(numbers, dtype=object),
        "numbers, Float64": pd.Series(numbers, dtype="Float64"),
        "numbers, float32": pd.Series(numbers, dtype="float32"),
        "numbers, category": pd.Series(whole, dtype="category"),
        "whole, as pandas infers it": pd.Series([1, 4, 2, 7] * 30),
        "whole, Int64": pd.Series(whole, dtype="Int64"),
        "whole, uint8": pd.Series([1, 4, 2, 7] * 30, dtype="uint8"),
        "answers, as pandas infers them": pd.Series([True, False, False, True] * 30),
        "answers, objects": pd.Series(answers, dtype=object),
        "answers, boolean": pd.Series(answers, dtype="boolean"),
        "times, as pandas infers them": pd.Series(pd.to_datetime(days)),
        "times, seconds": pd.Series(pd.to_datetime(days)).astype("datetime64[s]"),
        "times, zoned": pd.Series(pd.to_datetime(days)).dt.tz_localize("Europe/Berlin"),
        "times, dates of Python": pd.Series([pd.Timestamp(day).date() for day in days]),
        "times, texts": pd.Series(days),
        "durations": pd.Series(pd.to_timedelta([1.0, 2.5, 4.0, 8.0] * 30, unit="s")),
        "nothing": pd.Series([None] * 120),
        "nothing, NaN": pd.Series([np.nan] * 120),
    }


def taken(frame: pd.DataFrame) -> dict[str, list[Any]]:
    """What each column is taken as, and its first values as they are counted."""
    found = {}
    rows = plain_frame(frame)
    for name in rows.columns:
        plan = Plan([name])
        plan.add(name, rows[name], Choices())
        feature = plan.features[0] if plan.features else None
        kind = plan.faults.get(name, "") if feature is None else feature.kind
        found[name] = [
            kind,
            _family(rows[name]),
            [_told(value) for value in plain(frame[name])[:4]],
        ]
    return found


def _family(column: pd.Series) -> str:
    """Name the dtype, but not the unit of times, in which releases differ and values do not."""
    return "times" if pd.api.types.is_datetime64_any_dtype(column.dtype) else str(column.dtype)


def _told(value: object) -> object:
    if pd.isna(value):  # type: ignore[call-overload]  # a single value
        return None
    return value if isinstance(value, bool | int | float | str) else str(value)


def test_a_frame_in_hand_is_taken_the_same() -> None:
    """A column of any dtype has the same kind, the same plain dtype and the same values."""
    assert json.loads(json.dumps(taken(pd.DataFrame(frames())))) == KNOWN["frames"]


def test_the_release_under_test_is_the_one_that_was_asked_for() -> None:
    """The frames differ between the releases before they are taken, so the file tests something."""
    texts = str(frames()["text, as pandas infers it"].dtype)
    assert texts == ("object" if pd.__version__.startswith("2.") else "str")
