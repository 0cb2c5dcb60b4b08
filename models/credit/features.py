"""The credit model's features: a card holder's bills, payments and delays of six months, from the
public UCI file.

Training and the clients that build requests share this module. The UCI file has no dates: its rows
are taken to be in the order of time, and the two calendar features are missing. Rows with a column
`date`, such as the simulator's, have them.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from driftgauge.models.common.columns import numbers, require
from driftgauge.shared.arrays import Floats
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.frames import category_text
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.tables.reading import read_table

TARGET: Final = "default.payment.next.month"
CLASSES: Final = ("0", "1")
"""The classes; 1 means that the card holder defaults."""
DATE: Final = "date"
"""An optional column: the day of the latest bill."""

CODES: Final = ("SEX", "EDUCATION", "MARRIAGE")
"""Categories that the file codes as whole numbers. EDUCATION 0, 5, 6 and MARRIAGE 0 occur although
the file's description does not name them.
"""
SEGMENTS: Final = ("SEX", "EDUCATION")
"""Features by whose values drift and performance are judged separately, too."""
DELAYS: Final = ("PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6")
"""Months of delay, the latest month first; 0 and less mean no delay. The file has no PAY_1."""
BILLS: Final = tuple(f"BILL_AMT{month}" for month in range(1, 7))
PAYMENTS: Final = tuple(f"PAY_AMT{month}" for month in range(1, 7))
RAW: Final = ("LIMIT_BAL", "SEX", "EDUCATION", "MARRIAGE", "AGE", *DELAYS, *BILLS, *PAYMENTS)
"""The columns of the file that are used, in its order; ID is a row number."""
RATIOS: Final = ("utilisation", "mean_utilisation", "paid_share", "worst_delay", "months_late")
CALENDAR: Final = ("month_sin", "month_cos")
NUMERIC: Final = ("LIMIT_BAL", "AGE", *DELAYS, *BILLS, *PAYMENTS, *RATIOS, *CALENDAR)
FEATURES: Final = (*RAW, *RATIOS, *CALENDAR)
"""All features, in stream order."""
EXCLUDED: Final = dict.fromkeys(CALENDAR, "a function of the calendar")
"""Feature to the reason why drift is not judged on it: a window of some days never covers the whole
cycle of the year.
"""

REQUIRED: Final = ("LIMIT_BAL", "PAY_0")
RANGES: Final[dict[str, tuple[float | None, float | None]]] = {
    "LIMIT_BAL": (1, None),
    "AGE": (18, 120),
    **dict.fromkeys((*DELAYS, "worst_delay"), (-2, 9)),
    **dict.fromkeys((*PAYMENTS, "paid_share"), (0, None)),
    "months_late": (0, 6),
    **dict.fromkeys(CALENDAR, (-1, 1)),
}
"""Range of each feature that has one. A bill may be negative: an account can be in credit."""

UNITS: Final[dict[str, str]] = {
    **dict.fromkeys(("LIMIT_BAL", *BILLS, *PAYMENTS), "NT$"),
    **dict.fromkeys(("AGE",), "years"),
    **dict.fromkeys((*DELAYS, "worst_delay", "months_late"), "months"),
}
"""Unit of each feature that has one."""


def _feature(name: str) -> Feature:
    if name in CODES:
        # an undocumented code of education or marriage is to be counted as unseen, not refused
        return Feature(
            name, "categorical", nullable=True, categories=("1", "2") if name == "SEX" else None
        )
    low, high = RANGES.get(name, (None, None))
    excluded = EXCLUDED.get(name, "")
    return Feature(
        name,
        "numeric",
        nullable=name not in REQUIRED,
        minimum=low,
        maximum=high,
        excluded=excluded,
        unit=UNITS.get(name, ""),
    )


SCHEMA: Final = Schema(
    tuple(map(_feature, FEATURES)),
    prediction="categorical",
    target=TARGET,
    classes=CLASSES,
    segments=SEGMENTS,
)


def read_raw(path: Path) -> pd.DataFrame:
    """Read the UCI file, or one like it with a column `date`.

    Returns
    -------
    DataFrame
        The columns of `RAW`, then `TARGET`, then `DATE` if the file has it; rows in the order of
        the file.

    Raises
    ------
    BadData
        If the file cannot be read, lacks a column, or has values of another kind in one.
    """
    frame = read_table(path)
    require(frame, (*RAW, TARGET), f"{path}, which should be the UCI credit-default file,")
    frame = frame[[*RAW, TARGET, *([DATE] if DATE in frame.columns else [])]].copy()
    for name in (*RAW, TARGET):
        frame[name] = numbers(frame[name], path)
    unknown = sorted(set(frame[TARGET].map(category_text)) - set(CLASSES))
    if unknown:
        raise BadData(f"{path}: {TARGET} has {', '.join(unknown[:5])}; known are 0 and 1.")
    return frame.assign(**{DATE: _dates(frame[DATE], path)}) if DATE in frame.columns else frame


def engineer(raw: pd.DataFrame) -> pd.DataFrame:
    """Compute the features of raw rows, which have the columns of `RAW` and may have `DATE`.

    Returns
    -------
    DataFrame
        One column for each name of `FEATURES` in that order, with the index of `raw`: float64, or
        object (text) for the codes. A missing value makes every feature NaN that is computed from
        it; without a date the calendar features are NaN.

    Raises
    ------
    BadData
        If a column is missing.
    """
    require(raw, RAW, "The frame")
    columns: dict[str, Any] = {name: _codes(raw[name]) for name in CODES}
    columns |= {
        name: raw[name].to_numpy(dtype=np.float64, na_value=np.nan)
        for name in RAW
        if name not in CODES
    }
    columns |= _ratios(columns) | _calendar(raw)
    return pd.DataFrame(columns, index=raw.index, columns=list(FEATURES))


def labels_of(raw: pd.DataFrame) -> NDArray[np.object_]:
    """Return the class of each row as text."""
    return raw[TARGET].map(category_text).to_numpy(dtype=object)


def in_time_order(raw: pd.DataFrame) -> pd.DataFrame:
    """Sort rows by date; without dates, they are taken to be in the order of time already."""
    return raw.sort_values(DATE, kind="stable") if DATE in raw.columns else raw


def _ratios(columns: dict[str, Floats]) -> dict[str, Floats]:
    limit = columns["LIMIT_BAL"]
    delays = np.column_stack([columns[name] for name in DELAYS])
    return {
        "utilisation": columns["BILL_AMT1"] / limit,
        "mean_utilisation": np.column_stack([columns[name] for name in BILLS]).mean(axis=1) / limit,
        "paid_share": np.column_stack([columns[name] for name in PAYMENTS]).sum(axis=1) / limit,
        "worst_delay": delays.max(axis=1),
        "months_late": np.where(np.isnan(delays).any(axis=1), np.nan, (delays > 0).sum(axis=1)),
    }


def _calendar(raw: pd.DataFrame) -> dict[str, Floats]:
    if DATE not in raw.columns:
        return {name: np.full(len(raw), np.nan) for name in CALENDAR}
    angle = 2 * np.pi * (raw[DATE].dt.month.to_numpy(dtype=np.float64, na_value=np.nan) - 1) / 12
    return {"month_sin": np.sin(angle), "month_cos": np.cos(angle)}


def _codes(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Convert codes to text, whole numbers without a decimal point; a missing code is None."""
    texts = [
        None if absent else category_text(code)
        for code, absent in zip(column.tolist(), column.isna(), strict=True)
    ]
    return pd.Series(np.array(texts, dtype=object), index=column.index, dtype=object)


def _dates(column: "pd.Series[Any]", path: Path) -> "pd.Series[Any]":
    try:
        dates = pd.to_datetime(column, format="%Y-%m-%d")
    except (ValueError, TypeError) as error:
        raise BadData(f"{path}: column {DATE} must look like 2024-12-31: {error}.") from error
    if dates.isna().any():
        raise BadData(
            f"{path}: column {DATE} is empty in {int(dates.isna().sum())} rows; fill or remove "
            f"them."
        )
    return dates
