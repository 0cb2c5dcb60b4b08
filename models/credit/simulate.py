"""Simulated card holders, for a demo and tests that need no download.

Each card holder has one latent standing a month, which changes slowly: the higher, the worse. The
delay of a month follows from it; a bill is a share of the limit, a payment a share of the bill.
Default depends on the latest delays, the limit, its use, and the time of the year. Days are drawn
at random, so that rows are exchangeable.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, ndtr

from driftgauge.models.common.simulation import Labelled
from driftgauge.models.credit.features import (
    BILLS,
    DATE,
    DELAYS,
    PAYMENTS,
    RAW,
    TARGET,
    engineer,
    labels_of,
)
from driftgauge.shared.arrays import Floats

DRIFTING_FEATURE: Final = "AGE"
"""The feature that the demo shifts: people of another age apply."""

DAYS: Final = pd.date_range("2022-01-01", "2024-12-31")
"""The days that the dates are drawn from."""
_MONTHS = 6
_CORRELATION = 0.85
"""Correlation of the standings of successive months."""
# shares of the codes in the UCI file, undocumented ones included
_EDUCATION = {"0": 0.001, "1": 0.353, "2": 0.468, "3": 0.164, "4": 0.004, "5": 0.008, "6": 0.002}
_MARRIAGE = {"0": 0.002, "1": 0.455, "2": 0.532, "3": 0.011}
# standings at which the next delay begins: -2 (card not used), -1 (paid in full), 0 (part paid),
# 2, 3, 4, … months
_STANDING = np.array([-1.3, -0.65, 1.1, 2.05, 2.5, 2.9, 3.3])
_DELAY = np.array([-2, -1, 0, 2, 3, 4, 5, 6])


class CardHolders:
    """A simulator of card holders; each call continues the random sequence of its seed.

    Parameters
    ----------
    seed
        Training draws from the seed `(seed, 1)`, so that traffic of `CardHolders(seed)` repeats no
        row of it.

    Examples
    --------
    >>> CardHolders(1).rows(3).equals(CardHolders(1).rows(3))
    True
    """

    def __init__(self, seed: int | Sequence[int]) -> None:
        self._random = np.random.default_rng(seed)

    def rows(self, n: int) -> pd.DataFrame:
        """Draw n independent card holders: the columns of `RAW`, the target, and a date."""
        random = self._random
        limit = np.clip(np.exp(11.7 + 0.85 * random.standard_normal(n)) / 1e4, 1, 100).round() * 1e4
        standing = self._standing(n, np.log(limit / 1.2e5))
        delay = _DELAY[np.searchsorted(_STANDING, standing)].astype(np.float64)
        bills = self._bills(limit, standing)
        day = DAYS[random.integers(len(DAYS), size=n)]
        columns: dict[str, object] = {
            "LIMIT_BAL": limit,
            "SEX": 1 + (random.random(n) < 0.6),
            "EDUCATION": self._code(_EDUCATION, n),
            "MARRIAGE": self._code(_MARRIAGE, n),
            "AGE": np.clip(21 + random.gamma(2.4, 6.1, n), 21, 79).round(),
        }
        columns |= dict(zip(DELAYS, delay, strict=True)) | dict(zip(BILLS, bills, strict=True))
        columns |= dict(zip(PAYMENTS, self._payments(bills, delay), strict=True))
        columns[TARGET] = self._defaults(delay, limit, bills[0] / limit, day)
        return pd.DataFrame(columns, columns=[*RAW, TARGET]).assign(**{DATE: day})

    def labelled(self, n: int) -> Labelled:
        """Draw n card holders: their features, and as labels whether they defaulted."""
        raw = self.rows(n)
        return Labelled(engineer(raw), labels_of(raw))

    def _standing(self, n: int, log_limit: Floats) -> Floats:
        """Draw the standing of each month, shape (months, n), the latest first.

        It is normal, higher is worse, and it is worse for holders with a small limit.
        """
        standing = np.empty((_MONTHS, n))
        standing[-1] = self._random.standard_normal(n)
        for month in range(_MONTHS - 2, -1, -1):
            noise = np.sqrt(1 - _CORRELATION**2) * self._random.standard_normal(n)
            standing[month] = _CORRELATION * standing[month + 1] + noise
        return standing - 0.25 * log_limit

    def _bills(self, limit: Floats, standing: Floats) -> Floats:
        """Draw the bill of each month: the worse the standing, the more of the limit is used.

        Some bills are negative, because the account is in credit.
        """
        habit = 0.6 * self._random.standard_normal(len(limit)) + 0.1 * self._random.standard_normal(
            standing.shape
        )
        return (1.02 * ndtr(-0.6 + 0.6 * standing + habit) - 0.01) * limit

    def _payments(self, bills: Floats, delay: Floats) -> Floats:
        """Draw the payment of each month: the whole bill, a part, or, in delay, often nothing."""
        part = 0.04 * np.exp(0.7 * self._random.standard_normal(bills.shape))
        late = np.where(self._random.random(bills.shape) < 0.5, 0.0, part)
        share = np.where(delay < 0, 1.0, np.where(delay == 0, np.minimum(part, 1.0), late))
        return np.maximum(bills, 0.0) * share

    def _defaults(
        self, delay: Floats, limit: Floats, utilisation: Floats, day: pd.DatetimeIndex
    ) -> NDArray[np.int64]:
        late = np.maximum(delay, 0.0)
        # most defaults are after the holidays, in January
        year = np.cos(2 * np.pi * (day.month.to_numpy() - 1) / 12)
        odds = -2.1 + 1.1 * late[0] + 0.4 * late[1:3].sum(axis=0) - 0.35 * np.log(limit / 1.2e5)
        odds += 0.5 * (utilisation - 0.35) + 0.15 * year
        return np.asarray(self._random.random(len(limit)) < expit(odds), dtype=np.int64)

    def _code(self, shares: dict[str, float], n: int) -> NDArray[np.int64]:
        weights = np.array(list(shares.values()))
        codes = self._random.choice(
            np.array([int(code) for code in shares]), size=n, p=weights / weights.sum()
        )
        return np.asarray(codes, dtype=np.int64)
