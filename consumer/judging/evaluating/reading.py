"""The reading of a rule at one evaluation, and its evidence."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from driftgauge.shared.contract.alert import Contribution
from driftgauge.shared.contract.severity import AlertSeverity


class Reading(msgspec.Struct, frozen=True):
    """Result of one rule at one evaluation: bad with a severity, quiet, or neither.

    With `at_once` the alert fires without a second bad reading, with `over` it resolves without two
    more quiet ones. A quiet reading resolves it only if the consecutive quiet readings began
    `quiet_days` logical days before. With `rest_days`, a reminder needs a bad reading and waits for
    at least as many days.
    """

    severity: AlertSeverity | None
    quiet: bool
    summary: str = ""
    at_once: bool = False
    over: bool = False
    quiet_days: int = 0
    rest_days: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """The numbers behind a reading; for a segment, its own reference rows `n` and window rows `m`,
    and the bins that contribute most.
    """

    statistic: str
    value: float
    threshold: float | None
    expected: float | None
    n: int | None = None
    m: int | None = None
    cells: Sequence[Contribution] = ()
