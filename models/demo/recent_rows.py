"""Recent rows with their true values in a growing CSV file.

It stands for the feature store from which a team would take the rows for a retraining.
"""

import csv
import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from driftgauge.models.common.simulation import Labelled
from driftgauge.models.drift.posting import Posted
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.schema import Schema

TIME: Final = "driftgauge_time"
"""Column of the predictions' times, in Unix milliseconds."""
LABEL: Final = "driftgauge_label"
"""Column of the true values."""
POLL_S: Final = 0.5
"""Pause between two polls of the file, in seconds."""


class RecentRows:
    """Writes the file of recent rows.

    Parameters
    ----------
    path
        The file; what it held before is overwritten.
    schema
        Schema of the rows.
    """

    def __init__(self, path: Path, schema: Schema) -> None:
        self._path = path
        self._names = schema.names
        path.write_text(_lines([[TIME, LABEL, *self._names]]))

    def add(self, posted: Sequence[Posted]) -> None:
        """Append rows with their true values."""
        with self._path.open("a") as file:
            file.write(
                _lines(
                    [
                        [one.time, one.row.label, *map(one.row.features.get, self._names)]
                        for one in posted
                    ]
                )
            )


def read_recent(path: Path, schema: Schema, since_ms: int) -> Labelled:
    """Read the rows that were predicted at a time or later; an unfinished last line is left out.

    Parameters
    ----------
    since_ms
        Unix milliseconds.

    Raises
    ------
    BadData
        If the file cannot be read.
    """
    try:
        text = path.read_text()
    except OSError as error:
        raise BadData(
            f"{path} cannot be read: {error.strerror}. Name a file of recent rows."
        ) from error
    texts: dict[str, type] = {
        feature.name: str for feature in schema.features if feature.kind == "categorical"
    }
    if schema.prediction == "categorical":
        texts[LABEL] = str
    frame = pd.read_csv(
        io.StringIO(text[: text.rfind("\n") + 1]),
        dtype=texts,
        keep_default_na=False,
        na_values=[""],
    )
    frame = frame[frame[TIME] >= since_ms]
    labels = frame[LABEL].to_numpy(
        dtype=object if schema.prediction == "categorical" else np.float64
    )
    return Labelled(frame[list(schema.names)].reset_index(drop=True), labels)


def wait_for_rows(
    path: Path, schema: Schema, since_ms: int, rows: int, patience_s: float
) -> Labelled:
    """Wait until the file has enough rows since a time, and return all of them.

    A model that is trained on too few rows can be worse than the one that it replaces.

    Parameters
    ----------
    since_ms
        Unix milliseconds.
    rows
        Least number of rows.
    patience_s
        Longest wait, in seconds.

    Raises
    ------
    BadData
        If the rows do not come in time, or the file cannot be read.
    """
    deadline = time.monotonic() + patience_s
    while True:
        found = read_recent(path, schema, since_ms)
        if len(found.labels) >= rows:
            return found
        if time.monotonic() > deadline:
            raise BadData(
                f"{path} has {len(found.labels)} rows since the incident, {rows} are needed; "
                f"waited {patience_s:g} s."
            )
        time.sleep(POLL_S)


def _lines(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
