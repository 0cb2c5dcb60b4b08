"""Checks of the columns of a public data file; the errors name file and column."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from driftgauge.shared.errors import BadData


def require(frame: pd.DataFrame, names: Iterable[str], source: str) -> None:
    """Raise BadData if a frame lacks some of these columns; the message starts with `source`."""
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise BadData(f"{source} lacks these columns: {', '.join(missing)}.")


def numbers(column: "pd.Series[Any]", path: Path) -> "pd.Series[Any]":
    """Convert a column of a file to float64, or raise BadData if it holds something else."""
    try:
        return pd.to_numeric(column).astype(np.float64)
    except (ValueError, TypeError) as error:
        raise BadData(f"{path}: column {column.name} must be numeric: {error}.") from error
