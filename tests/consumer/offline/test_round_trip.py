"""Whatever a table holds, it is a reference, and its own rows are neither refused nor drift."""

import csv
import json
import math
import sys
import tempfile
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.offline.comparison import compare
from driftgauge.consumer.offline.registration import register_version
from driftgauge.consumer.offline.submission import Submission
from driftgauge.shared.contract.events import Prediction, Value
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.versions.manifest import PublishedVersion

TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs",), exclude_characters="\0\r"), max_size=8
)
CODES = st.sampled_from(
    [
        "007",
        "7",
        "7.0",
        "1e3",
        "NA",
        "null",
        "True",
        "false",
        "-",
        " x",
        "",
        "?",
        "nan",
        "inf",
        "1_0",
    ]
)
TIMES = st.datetimes(pd.Timestamp("1960-01-01"), pd.Timestamp("2100-01-01"))
FLOATS = st.floats(allow_nan=True, allow_infinity=True)
DTYPES: dict[str, st.SearchStrategy[Any]] = {
    "int64": st.integers(-(2**63), 2**63 - 1),
    "int8": st.integers(0, 1),
    "float64": FLOATS,
    "float32": st.floats(width=32, allow_nan=True),
    "bool": st.booleans(),
    "boolean": st.booleans() | st.none(),
    "Int64": st.integers(-5, 5) | st.none(),
    "datetime64[ns]": TIMES | st.none(),
    "category": CODES | st.none(),
    "datetime64[ns, UTC]": TIMES | st.none(),
    "long": st.sampled_from(["x" * 3000, "y", None]),
    "many digits": st.integers(10**17, 10**19).map(str),
    "object": TEXTS | CODES | st.none(),
    "codes": CODES,
    "numbers as text": FLOATS.map(str),
    "flags": st.sampled_from([True, False, None]),
    "epoch": st.integers(1_700_000_000, 1_800_000_000),
}
NAMES = ("load", "since", "row_id", "created_at", "a b", "kind~1/x")


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """A frame of up to four columns of any supported dtype; its rows are drawn from a few, so that
    there are enough of them for whatever is recognised by many rows.
    """
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    rows = draw(st.integers(1, 5))
    times = draw(st.sampled_from([1, 60]))
    columns = {}
    for name in names:
        dtype = draw(st.sampled_from(sorted(DTYPES)))
        values = draw(st.lists(DTYPES[dtype], min_size=rows, max_size=rows)) * times
        known = (
            dtype
            if dtype not in {"codes", "numbers as text", "flags", "epoch", "long", "many digits"}
            else "object"
        )
        columns[name] = pd.Series(values, dtype=known)
    return pd.DataFrame(columns)


def as_json(value: Any) -> Any:
    """Write a value as a client would."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def posted(frame: pd.DataFrame, schema: Schema) -> list[list[Value]]:
    """Post the rows of a frame as JSON, and give what is published."""
    found = []
    for row in zip(*(frame[name].astype(object) for name in schema.names), strict=True):
        text = json.dumps(dict(zip(schema.names, map(as_json, row), strict=True)))
        values, faults = schema.positional(json.loads(text), scored=False)
        assert not faults, f"{text}: {faults}"
        found.append(values)
    return found


def sent(frame: pd.DataFrame, schema: Schema) -> list[list[Value]]:
    """Send the rows of a frame as CSV, and give what is published."""
    text = frame[list(schema.names)].to_csv(index=False)
    found = []
    for row in csv.DictReader(StringIO(text, newline="")):
        values, faults = schema.positional(row, texts=True, scored=False)
        assert not faults, f"{row}: {faults}"
        found.append(values)
    return found


def is_the_reference(published: PublishedVersion, rows: list[list[Value]]) -> None:
    """Every judged column of the rows has the reference's own counts."""
    known = published.reference
    cells = CellMap(published.schema, known).cells(
        [Prediction("a", "1.0.0", 0, values, None) for values in rows]
    )
    for place, feature in enumerate(published.schema.features):
        if not feature.excluded:
            counts = np.bincount(
                cells[place] - known.offsets[place], minlength=len(known.columns[place].counts)
            )
            assert counts.tolist() == known.columns[place].counts, feature


@pytest.mark.parametrize("way", ["csv", "parquet"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(frame=frames())
@example(frame=pd.DataFrame({"load": [sys.float_info.max, -1e292]}))
def test_a_reference_fits_its_own_version(way: str, frame: pd.DataFrame) -> None:
    """Registered from a file and posted back through JSON or CSV, no row is refused, and the counts
    are the reference's own; compared with itself, nothing drifted.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"reference.{way}"
        if way == "csv":
            frame.to_csv(path, index=False)
        else:
            frame.to_parquet(path, index=False)
        try:
            _, published = register_version(
                ModelRegistry(Path(folder) / "registry"), Submission("m", path)
            )
        except BadData as error:
            assume("; say --" not in str(error))
            assume("no rows" not in str(error))
            raise
    is_the_reference(published, posted(frame, published.schema))
    is_the_reference(published, sent(frame, published.schema))
    assert compare(frame, frame).severity in {"ok", "insufficient_data", "excluded"}
