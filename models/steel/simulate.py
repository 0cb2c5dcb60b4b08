"""A simulated steel plant, for a demo and tests that need no download.

It has the UCI file's columns and roughly its distribution. A plant runs or is idle depending on the
time of day. A running plant draws much power at a high power factor; an idle one draws little at a
low factor, and its capacitors may turn the current from lagging to leading. All randomness comes
from independent standard normal latent variables, so that the rows are exchangeable.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from driftgauge.models.common.simulation import Labelled
from driftgauge.models.steel.features import (
    CO2,
    LAGGING,
    LAGGING_FACTOR,
    LEADING,
    LEADING_FACTOR,
    LOADS,
    RAW,
    TARGET,
    engineer,
)
from driftgauge.shared.arrays import Floats

DRIFTING_FEATURE: Final = "phase_log_odds"
"""The feature that the demo shifts: continuous, nearly symmetric, and without a declared range that
a shift could leave.
"""

QUARTER: Final = pd.Timedelta(minutes=15)
YEAR: Final = pd.date_range("2018-01-01 00:15", "2019-01-01 00:00", freq=QUARTER)
"""The quarters of an hour that `rows` draws from: those of the UCI file, by their ends."""

# share of plants that run in each hour of a working day, after the hourly means of the UCI file;
# noon is a break
_RUNNING = np.array(
    [
        *[0.08] * 8,
        0.7,
        0.92,
        0.92,
        0.92,
        0.35,
        0.65,
        0.9,
        0.9,
        0.9,
        0.75,
        0.6,
        0.6,
        0.6,
        0.3,
        0.15,
        0.1,
    ]
)
# probability of the maximum load type in each hour, given that the load is not light
_MAXIMUM = np.array(
    [0.0] * 10 + [0.7, 0.75, 0.35, 0.5, 0.65, 0.65, 0.65, 0.45, 0.35, 0.35, 0.1, 0.0, 0.2, 0.0]
)
_KWH = np.array([45.0, 52.0, 60.0])  # of a running plant, for each load type
_IDLE_KWH = 3.4
_CO2_PER_KWH = 0.00048  # tonnes
# mean log odds of the phase angle within 90 degrees: running, idle and lagging, idle and leading
_PHASE = np.array([-1.0, 0.3, 1.6])
_PHASE_SD = 0.45
_METER_ERROR = 0.04
_LATENTS = (
    "tariff",
    "running",
    "level",
    "phase",
    "leading",
    "minor",
    "lagging_meter",
    "leading_meter",
)


class SteelPlant:
    """A simulator of steel plants; each call continues the random sequence of its seed.

    Parameters
    ----------
    seed
        Two seeds give independent samples of the same distribution. Training draws from the seed
        `(seed, 1)`, so that traffic of `SteelPlant(seed)` repeats no row of it.

    Examples
    --------
    >>> SteelPlant(1).rows(3).equals(SteelPlant(1).rows(3))
    True
    """

    def __init__(self, seed: int | Sequence[int]) -> None:
        self._random = np.random.default_rng(seed)

    def rows(self, n: int) -> pd.DataFrame:
        """Draw n independent rows, each of a random plant in a random quarter of an hour of 2018.

        Returns
        -------
        DataFrame
            The columns of the UCI file, then `time`; the rows are in no order.
        """
        time = YEAR[self._random.integers(len(YEAR), size=n)]
        size = np.exp(0.12 * self._random.standard_normal(n))
        latents = self._random.standard_normal((len(_LATENTS), n))
        return _observe(time, size, dict(zip(_LATENTS, latents, strict=True)))

    def labelled(self, n: int) -> Labelled:
        """Draw n independent rows: their features, and their energy use in kWh as labels."""
        raw = self.rows(n)
        return Labelled(engineer(raw), raw[TARGET].to_numpy())


def _observe(time: pd.DatetimeIndex, size: Floats, latent: dict[str, Floats]) -> pd.DataFrame:
    """Compute what the meters show from the latent variables."""
    load = _load(time, ndtr(latent["tariff"]))
    running, leading = _state(time, ndtr(latent["running"]), ndtr(latent["leading"]))
    usage = size * np.where(
        running,
        _KWH[load] * np.exp(0.3 * latent["level"]),
        _IDLE_KWH * np.exp(0.15 * latent["level"]),
    )
    state = np.where(running, 0, np.where(leading, 2, 1))
    angle = np.pi / 2 / (1 + np.exp(-_PHASE[state] - _PHASE_SD * latent["phase"]))
    reactive = usage * np.tan(angle)
    # within a quarter of an hour the current may lag and lead: a small share of the reactive power
    # is on the other side
    minor = 0.03 * np.exp(0.6 * latent["minor"])
    lead_share = np.where(leading, 1 - minor, minor)
    lagging_kvarh, leading_kvarh = reactive * (1 - lead_share), reactive * lead_share
    measured = {
        TARGET: usage,
        LAGGING: lagging_kvarh,
        LEADING: leading_kvarh,
        CO2: (usage * _CO2_PER_KWH).round(2),
        LAGGING_FACTOR: _power_factor(usage, lagging_kvarh, latent["lagging_meter"]),
        LEADING_FACTOR: _power_factor(usage, leading_kvarh, latent["leading_meter"]),
        "Load_Type": np.array(LOADS)[load],
    }
    return pd.DataFrame({**_clock(time), **measured}, columns=[*RAW, "time"])


def _load(time: pd.DatetimeIndex, tariff: Floats) -> NDArray[np.int64]:
    """Return the load type of each row as an index of `LOADS`; `tariff` is uniform in 0 to 1."""
    hour = time.hour.to_numpy()
    light = np.where((hour >= 9) & (hour < 23), np.where(time.day_of_week >= 5, 0.5, 0.04), 1.0)
    medium = light + (1 - light) * (1 - _MAXIMUM[hour])
    return np.asarray((tariff > light).astype(np.int64) + (tariff > medium), dtype=np.int64)


def _state(
    time: pd.DatetimeIndex, running: Floats, leading: Floats
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which plants run, and whose current leads.

    By day the capacitors of an idle plant stay on, which makes its current lead.
    """
    hour = time.hour.to_numpy()
    runs = running < _RUNNING[hour] * np.where(time.day_of_week >= 5, 0.35, 1.0)
    leads = leading < np.where(runs, 0.1, np.where((hour >= 9) & (hour < 23), 0.7, 0.1))
    return runs, leads


def _power_factor(active: Floats, reactive: Floats, error: Floats) -> Floats:
    """Return the power factor P / sqrt(P^2 + Q^2) in percent.

    The meter's error is an error of Q, so that the factor stays within 0 to 100.
    """
    return 100 * active / np.hypot(active, reactive * np.exp(_METER_ERROR * error))


def _clock(time: pd.DatetimeIndex) -> dict[str, object]:
    """Return the calendar columns as in the UCI file: midnight has the date that just ended."""
    midnight = time == time.normalize()
    day = time.where(~midnight, time - pd.Timedelta(days=1))
    return {
        "time": time,
        "date": day.strftime("%d/%m/%Y %H:%M"),
        "NSM": (time - time.normalize()) // pd.Timedelta(seconds=1),
        "WeekStatus": np.where(day.day_of_week >= 5, "Weekend", "Weekday"),
        "Day_of_week": day.day_name(),
    }
