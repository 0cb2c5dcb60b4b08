"""Simulated answers to the questionnaire, for a demo and tests that need no download.

Habits, sex and age are drawn first. The body mass index follows from them with some noise, and the
class from the index by the limits of the WHO. People report height and weight with a small error,
so that, as with real answers, no model can predict all classes near a limit.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from driftgauge.models.common.simulation import Labelled
from driftgauge.models.obesity.features import ANSWERS, FEATURES, RANGES, TARGET, engineer
from driftgauge.shared.arrays import Floats

DRIFTING_FEATURE: Final = "Weight"
"""The feature that the demo shifts: continuous, and far from the ends of its range."""

LIMITS: Final = (18.5, 25.0, 27.5, 30.0, 35.0, 40.0)
"""Body mass index, in kg/m², at which the next of `LEVELS` begins."""
LEVELS: Final = (
    "Insufficient_Weight",
    "Normal_Weight",
    "Overweight_Level_I",
    "Overweight_Level_II",
    "Obesity_Type_I",
    "Obesity_Type_II",
    "Obesity_Type_III",
)
"""The classes from the lowest to the highest body mass index."""
_HEIGHT = np.array([1.64, 1.76])  # m; women, men
_REPORT_ERROR = 0.004
_TRANSPORT = (0.06, 0.02, 0.02, 0.7, 0.2)
_NUTRITION = {
    "FCVC": (2.4, 0.6),
    "NCP": (2.7, 0.8),
    "CH2O": (2.0, 0.6),
    "FAF": (1.0, 0.85),
    "TUE": (0.65, 0.6),
}


class People:
    """A simulator of people; each call continues the random sequence of its seed.

    Parameters
    ----------
    seed
        Training draws from the seed `(seed, 1)`, so that traffic of `People(seed)` repeats no row
        of it.

    Examples
    --------
    >>> People(1).rows(3).equals(People(1).rows(3))
    True
    """

    def __init__(self, seed: int | Sequence[int]) -> None:
        self._random = np.random.default_rng(seed)

    def rows(self, n: int) -> pd.DataFrame:
        """Draw n independent people: the columns of the UCI file, the class last."""
        random = self._random
        care = random.standard_normal(n)  # latent: how healthily a person lives
        male = random.random(n) < 0.5
        columns: dict[str, object] = {"Gender": np.where(male, "Male", "Female")}
        columns["Age"] = np.clip(14 + 10.3 * random.gamma(2.6, 0.4, n), *RANGES["Age"])
        columns |= {
            name: self._answer(name, mean, sd, care) for name, (mean, sd) in _NUTRITION.items()
        }
        columns |= self._habits(care)
        relatives = np.asarray(columns["family_history_with_overweight"] == "yes", dtype=np.float64)
        index = self._index(care, relatives, np.asarray(columns["Age"]))
        height = _HEIGHT[male.astype(int)] + 0.065 * random.standard_normal(n)
        columns["Height"] = np.clip(height * self._error(n), *RANGES["Height"])
        columns["Weight"] = np.clip(index * height**2 * self._error(n), *RANGES["Weight"])
        columns[TARGET] = np.array(LEVELS, dtype=object)[
            np.searchsorted(LIMITS, index, side="right")
        ]
        return pd.DataFrame(columns, columns=[*FEATURES, TARGET])

    def labelled(self, n: int) -> Labelled:
        """Draw n people: their features, and their classes as labels."""
        raw = self.rows(n)
        return Labelled(engineer(raw), raw[TARGET].to_numpy(dtype=object))

    def _answer(self, name: str, mean: float, sd: float, care: Floats) -> Floats:
        """Draw answers on a scale; half of the people answer with whole numbers."""
        towards = -0.4 if name == "TUE" else 0.4  # screen time is unhealthy, all else is healthy
        latent = towards * care + np.sqrt(1 - towards**2) * self._random.standard_normal(len(care))
        values = np.clip(mean + sd * latent, *RANGES[name])
        return np.asarray(
            np.where(self._random.random(len(care)) < 0.5, values.round(), values), dtype=np.float64
        )

    def _habits(self, care: Floats) -> dict[str, object]:
        n = len(care)
        often = np.array(ANSWERS["CAEC"], dtype=object)
        return {
            "family_history_with_overweight": self._yes(1.8 - 0.4 * care),
            "FAVC": self._yes(2.3 - 0.7 * care),
            "SMOKE": self._yes(-3.9 - 0.2 * care),
            "SCC": self._yes(-3.4 + 0.8 * care),
            "CAEC": often[
                np.clip(
                    np.round(1.1 - 0.2 * care + 0.5 * self._random.standard_normal(n)), 0, 3
                ).astype(int)
            ],
            "CALC": often[
                np.clip(
                    np.round(0.7 - 0.1 * care + 0.5 * self._random.standard_normal(n)), 0, 3
                ).astype(int)
            ],
            "MTRANS": self._random.choice(
                np.array(ANSWERS["MTRANS"], dtype=object), size=n, p=_TRANSPORT
            ),
        }

    def _index(self, care: Floats, relatives: Floats, age: Floats) -> Floats:
        """Draw the body mass index, kg/m², with the mean and spread of the UCI file."""
        latent = -0.5 * care + 1.0 * (relatives - 0.85) + 0.03 * (age - 24.7)
        index = 29.5 + 7.0 * (latent + 0.75 * self._random.standard_normal(len(care)))
        return np.clip(index, 13, 55)

    def _yes(self, log_odds: Floats) -> NDArray[np.object_]:
        return np.where(self._random.random(len(log_odds)) < expit(log_odds), "yes", "no").astype(
            object
        )

    def _error(self, n: int) -> Floats:
        return np.exp(_REPORT_ERROR * self._random.standard_normal(n))
