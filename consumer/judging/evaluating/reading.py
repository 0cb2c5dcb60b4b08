"""The reading of a rule at one evaluation, and its evidence."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from driftgauge.shared.contract.alert import Contribution
from driftgauge.shared.contract.severity import AlertSeverity


class Reading(msgspec.Struct, frozen=True):
    """Result of one rule at one evaluation: bad with a severity, quiet, or neither.

    `at_once` fires without a second one, `over` resolves without two more. A quiet one resolves
    only if the first of the quiet ones was `quiet_days` logical days before. With `rest_days` only
    a bad one tells again, and a reminder waits for as many of them, if it is not due later. What it
    tells of began at `since` (logical ms), if that is not now.
    """

    severity: AlertSeverity | None
    quiet: bool
    summary: str = ""
    at_once: bool = False
    over: bool = False
    quiet_days: int = 0
    rest_days: int = 0
    since: int | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """The numbers behind a reading, and their `unit`, if they have one; of a segment its own
    reference rows `n` and window rows `m`, and the bins that tell; of other times than the window's
    their `start` and `end` (logical ms).
    """

    statistic: str
    value: float
    threshold: float | None
    expected: float | None
    n: int | None = None
    m: int | None = None
    cells: Sequence[Contribution] = ()
    start: int | None = None
    end: int | None = None
    unit: str = ""
