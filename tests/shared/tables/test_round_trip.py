"""A frame that is written to a file and read by the schema's kinds is the same frame."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driftgauge.shared.tables.format import SEPARATORS, TableFormat
from driftgauge.shared.tables.reading import read_table
from driftgauge.shared.tables.recognising import looks_like_values

TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs",), exclude_characters="\0\r"),
    min_size=1,
    max_size=8,
).filter(lambda text: text.strip() != "")
CODES = st.sampled_from(["007", "7", "7.0", "1e3", "NA", "null", "True", "-", "1,5", " x"])
MISSING = st.none()
VALUES = {
    "numeric": st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(2**53) + 1, 2**53 - 1).map(float),
    "boolean": st.booleans(),
    "categorical": TEXTS | CODES,
}
NAMES = st.lists(
    TEXTS.map(str.strip).filter(lambda name: name[0] not in "[{<"),  # as of JSON and HTML
    min_size=1,
    max_size=4,
    unique=True,
).filter(lambda names: not looks_like_values(names))


@st.composite
def frames(draw: Any) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """A frame of up to four columns of any kind, some values missing; and its kinds."""
    rows = draw(st.integers(1, 6))
    kinds = {name: draw(st.sampled_from(sorted(VALUES))) for name in draw(NAMES)}
    columns = {
        name: draw(st.lists(VALUES[kind] | MISSING, min_size=rows, max_size=rows))
        for name, kind in kinds.items()
    }
    return columns, kinds


def same(found: pd.Series, values: list[Any]) -> bool:
    missing = [value is None for value in values]
    if found.isna().tolist() != missing:
        return False
    kept = [one for one, gone in zip(found, missing, strict=True) if not gone]
    return kept == [value for value in values if value is not None]


@pytest.mark.parametrize("form", ["csv", "json_lines", "parquet"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(made=frames(), separator=st.sampled_from(SEPARATORS))
def test_columns_come_back(
    form: str, made: tuple[dict[str, list[Any]], dict[str, str]], separator: str
) -> None:
    """Numbers to the last digit, booleans, and texts as they are: codes with zeros, quotes, line
    breaks, separators, `NA`; missing values stay missing. In every format, by any separator.
    """
    columns, kinds = made
    dtypes = {"numeric": "float64", "boolean": object, "categorical": object}
    frame = pd.DataFrame(
        {name: pd.Series(values, dtype=dtypes[kinds[name]]) for name, values in columns.items()}
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data"
        if form == "csv":
            frame.to_csv(path, index=False, sep=separator)
        elif form == "json_lines":
            lines = [
                dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
            ]
            path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
        else:
            frame.to_parquet(path)
        found = read_table(path, TableFormat(separator=separator), kinds)
    assert list(found.columns) == list(columns)
    for name, values in columns.items():
        assert same(found[name], values), (name, kinds[name], found[name].tolist())


def test_17_digits_are_read_to_the_last(tmp_path: Path) -> None:
    """Whatever pandas is installed, a number of 17 digits is the one that JSON reads."""
    rng = np.random.default_rng(1)
    stars = ((rng.integers(1, 12, 5000) - 5.9) / 3.17).tolist()
    path = tmp_path / "stars.csv"
    path.write_text("stars\n" + "\n".join(map(repr, stars)))
    assert read_table(path)["stars"].tolist() == stars
