"""The steel model's features: 18 numbers for each quarter of an hour, from the columns of the
public UCI file.

Training and the clients that build requests share this module, so that both compute the same
features. Usage_kWh is the target and is never read here. CO2(tCO2) is left out, because it is usage
times an emission factor, rounded (correlation 0.988), and so known only once usage is known. Power
factor and reactive power remain, although together they nearly fix usage (P = Q / tan phi): the
model is a soft sensor of active energy, not a forecast. See README.md.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from driftgauge.models.common.columns import numbers, require
from driftgauge.shared.arrays import Floats
from driftgauge.shared.errors import BadData
from driftgauge.shared.tables.reading import read_table

TARGET: Final = "Usage_kWh"
LAGGING: Final = "Lagging_Current_Reactive.Power_kVarh"
LEADING: Final = "Leading_Current_Reactive_Power_kVarh"
LAGGING_FACTOR: Final = "Lagging_Current_Power_Factor"
LEADING_FACTOR: Final = "Leading_Current_Power_Factor"
CO2: Final = "CO2(tCO2)"
MEASURED: Final = (TARGET, LAGGING, LEADING, CO2, LAGGING_FACTOR, LEADING_FACTOR)
"""The columns that a meter measures."""
RAW: Final = ("date", *MEASURED, "NSM", "WeekStatus", "Day_of_week", "Load_Type")
"""The columns of the UCI file, in its order."""
LOADS: Final = ("Light_Load", "Medium_Load", "Maximum_Load")
"""The load types of the file, from light to heavy."""

ELECTRICAL: Final = (
    "lagging_kvarh",
    "leading_kvarh",
    "lagging_power_factor",
    "leading_power_factor",
    "net_kvarh",
    "log_total_kvarh",
    "log_kvarh_ratio",
    "power_factor_gap",
    "net_phase_angle",
    "phase_log_odds",
)
"""Features that follow from the meter; each may be missing."""
CALENDAR: Final = ("hour_sin", "hour_cos", "weekday_sin", "weekday_cos", "is_weekend")
"""Features that follow from the time; angles of the day and the week as sine and cosine."""
LOAD: Final = ("load_light", "load_medium", "load_maximum")
"""The load type as one 0/1 feature for each of `LOADS`."""
FEATURES: Final[tuple[str, ...]] = (*ELECTRICAL, *CALENDAR, *LOAD)
"""All features, in stream order."""
EXCLUDED: Final[dict[str, str]] = dict.fromkeys(CALENDAR, "a function of the clock")
"""Feature to the reason why drift is not judged on it: a window of some days never covers the whole
cycle of the clock.
"""


def read_raw(path: Path) -> pd.DataFrame:
    """Read the UCI file, and correct its timestamps in a column `time`.

    The file stamps the quarter of an hour that ends at midnight with 00:00 of the day that just
    ended, so that its times run backwards once a day. In `time` such a row has the midnight at
    which it ends, one day later.

    Returns
    -------
    DataFrame
        The columns of `RAW`, then `time`; rows in the order of the file.

    Raises
    ------
    BadData
        If the file cannot be read, lacks a column, or has values of another kind in one.
    """
    frame = read_table(path)
    require(frame, RAW, f"{path}, which should be the UCI steel file,")
    frame = frame[list(RAW)].copy()
    for name in MEASURED:
        frame[name] = numbers(frame[name], path)
    unknown = sorted(set(frame["Load_Type"].astype(str)) - set(LOADS))
    if unknown:
        raise BadData(
            f"{path}: Load_Type has {', '.join(unknown[:5])}; known are {', '.join(LOADS)}."
        )
    return frame.assign(time=_times(frame["date"], path))


def engineer(raw: pd.DataFrame) -> pd.DataFrame:
    """Compute the features of raw rows.

    Parameters
    ----------
    raw
        Columns of the UCI file and a `time` column, as from `read_raw` or the simulator.

    Returns
    -------
    DataFrame
        float64, one column for each name of `FEATURES` in that order, with the index of `raw`. A
        missing reading makes every feature NaN that is computed from it.

    Raises
    ------
    BadData
        If a column is missing.

    Examples
    --------
    >>> raw = pd.DataFrame(
    ...     {
    ...         "time": [pd.Timestamp("2018-01-01 06:00")],
    ...         "Load_Type": "Light_Load",
    ...         LAGGING: 3.0,
    ...         LEADING: 0.0,
    ...         LAGGING_FACTOR: 80.0,
    ...         LEADING_FACTOR: 100.0,
    ...     }
    ... )
    >>> features = engineer(raw)[["net_kvarh", "net_phase_angle", "hour_sin", "load_light"]]
    >>> features.round(2).values.tolist()
    [[3.0, 36.87, 1.0, 1.0]]
    """
    require(
        raw, ("time", LAGGING, LEADING, LAGGING_FACTOR, LEADING_FACTOR, "Load_Type"), "The frame"
    )
    columns = _electrical(
        *(_column(raw, name) for name in (LAGGING, LEADING, LAGGING_FACTOR, LEADING_FACTOR))
    )
    columns |= _calendar(raw["time"])
    load = raw["Load_Type"].to_numpy()
    columns |= {
        name: (load == value).astype(np.float64) for name, value in zip(LOAD, LOADS, strict=True)
    }
    return pd.DataFrame(columns, index=raw.index, columns=list(FEATURES))


def _electrical(
    lagging: Floats, leading: Floats, lagging_factor: Floats, leading_factor: Floats
) -> dict[str, Floats]:
    lagging_angle, leading_angle = _angle(lagging_factor), _angle(leading_factor)
    return {
        "lagging_kvarh": lagging,
        "leading_kvarh": leading,
        "lagging_power_factor": lagging_factor,
        "leading_power_factor": leading_factor,
        "net_kvarh": lagging - leading,
        "log_total_kvarh": np.log1p(lagging + leading),
        "log_kvarh_ratio": np.log1p(lagging) - np.log1p(leading),
        "power_factor_gap": lagging_factor - leading_factor,
        "net_phase_angle": np.degrees(lagging_angle - leading_angle),
        "phase_log_odds": _phase_log_odds(lagging_angle, leading_angle),
    }


def _angle(factor: Floats) -> Floats:
    """Return the phase angle, in radians, of a power factor in percent.

    A power factor outside of 0 to 100 is clipped here, because the schema refuses it anyway.
    """
    return np.arccos(np.clip(factor, 0.0, 100.0) / 100.0).astype(np.float64)


def _phase_log_odds(lagging_angle: Floats, leading_angle: Floats) -> Floats:
    """Return the log odds, log(phi / (90 - phi)), of the phase angle phi of all reactive power.

    The tangents of the two angles add, because both reactive powers relate to the same active
    power. Log odds spread the two ends of the scale, which makes the feature nearly symmetric. The
    angle is kept between 1 and 89 degrees, so that an idle plant has a finite value, too.
    """
    phase = np.degrees(np.arctan(np.tan(lagging_angle) + np.tan(leading_angle)))
    kept = np.clip(phase, 1, 89)
    return np.asarray(np.log(kept / (90 - kept)), dtype=np.float64)


def _calendar(time: pd.Series) -> dict[str, Floats]:
    day = 2 * np.pi * (time.dt.hour + time.dt.minute / 60).to_numpy(dtype=np.float64) / 24
    week = 2 * np.pi * time.dt.day_of_week.to_numpy(dtype=np.float64) / 7
    return {
        "hour_sin": np.sin(day),
        "hour_cos": np.cos(day),
        "weekday_sin": np.sin(week),
        "weekday_cos": np.cos(week),
        "is_weekend": (time.dt.day_of_week >= 5).to_numpy(dtype=np.float64),
    }


def _column(frame: pd.DataFrame, name: str) -> Floats:
    return frame[name].to_numpy(dtype=np.float64, na_value=np.nan)


def _times(date: "pd.Series[Any]", path: Path) -> "pd.Series[Any]":
    try:
        time = pd.to_datetime(date, format="%d/%m/%Y %H:%M")
    except (ValueError, TypeError) as error:
        raise BadData(f"{path}: column date must look like 31/12/2018 23:45: {error}.") from error
    if time.isna().any():
        raise BadData(
            f"{path}: column date is empty in {int(time.isna().sum())} rows; fill or remove them."
        )
    midnight = time == time.dt.normalize()
    return time.mask(midnight, time + pd.Timedelta(days=1))
