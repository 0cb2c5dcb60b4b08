"""Gates: what a model version must pass before production, and the results of running them.

A version's gates are in its manifest; shared/registry/validation.py runs them.
"""

import math
import re
from collections.abc import Iterable
from typing import Final

import msgspec

from driftgauge.shared.errors import BadData, DriftgaugeError
from driftgauge.shared.moments import IsoTime

_BOUND: Final = re.compile(r"\s*([a-z][a-z0-9_]*(?::[^<>=]+?)?)\s*(>=|<=)\s*(\S+)\s*")


class Gates(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The gates of a version.

    Parameters
    ----------
    minimum, maximum
        Name of a metric (shared/versions/scores.py) to the least, or the largest, value that it may
        have on validation data.
    max_latency_ms
        Largest 99th percentile of the time that a prediction of one row takes, in ms.
    methods
        Methods that the fitted model must have.
    min_reference_rows
        Least number of rows of the reference profile.
    tolerance
        Largest relative loss of a metric against the version in production on the same data, as a
        share of the production version's value.
    """

    minimum: dict[str, float] = {}
    maximum: dict[str, float] = {}
    max_latency_ms: float = 100.0
    methods: tuple[str, ...] = ("predict",)
    min_reference_rows: int = 1000
    tolerance: float = 0.02

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that have a bound."""
        return tuple(dict.fromkeys((*self.minimum, *self.maximum)))


class GateResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """The result of one gate.

    Parameters
    ----------
    value
        The measured value; None if the gate measures nothing, or could not.
    bound
        Required value, as text.
    detail
        Explanation of the failure and what to do next; empty if the gate was passed.
    """

    name: str
    passed: bool
    value: float | None = None
    bound: str = ""
    detail: str = ""

    def __str__(self) -> str:
        measured = "" if self.value is None else f" {self.value:.6g}"
        required = f" (required: {self.bound})" if self.bound else ""
        return f"{self.name}{measured}{required}" + (f": {self.detail}" if self.detail else "")


class Validation(msgspec.Struct, frozen=True, omit_defaults=True):
    """The results of all gates of a version.

    Parameters
    ----------
    time
        Time at which the gates were run, ISO 8601 in UTC.
    data_digest
        SHA-256 (hex) of the validation data; empty if there were none.
    against
        The version in production that it was compared with; empty if there was none.
    metrics
        Metric to its value on the validation data.
    """

    model: str
    version: str
    time: IsoTime
    results: tuple[GateResult, ...]
    data_digest: str = ""
    against: str = ""
    metrics: dict[str, float] = {}

    @property
    def passed(self) -> bool:
        """True if every gate was passed."""
        return not self.failed

    @property
    def failed(self) -> tuple[GateResult, ...]:
        """Results of the gates that were not passed."""
        return tuple(result for result in self.results if not result.passed)


def parse_bounds(texts: Iterable[str]) -> tuple[dict[str, float], dict[str, float]]:
    """Parse bounds of metrics such as `accuracy>=0.9` and `rmse<=4`.

    Returns
    -------
    minimum, maximum
        Metric to its lower bound, and metric to its upper bound.

    Raises
    ------
    BadData
        If a text is no bound; the message names all such texts.

    Examples
    --------
    >>> parse_bounds(["accuracy>=0.9", "rmse <= 4", "f1:good>=.8"])
    ({'accuracy': 0.9, 'f1:good': 0.8}, {'rmse': 4.0})
    """
    bounds: dict[str, dict[str, float]] = {">=": {}, "<=": {}}
    wrong = []
    for text in texts:
        found = _BOUND.fullmatch(text)
        number = _number(found[3]) if found else None
        if found is None or number is None:
            wrong.append(text)
        else:
            bounds[found[2]][found[1]] = number
    if wrong:
        raise BadData(
            f"These are no gates: {', '.join(map(repr, wrong))}. Write METRIC>=NUMBER or "
            f"METRIC<=NUMBER."
        )
    return bounds[">="], bounds["<="]


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


class GateFailed(DriftgaugeError):
    """A version did not pass its gates, so nothing was promoted.

    Attributes
    ----------
    failed
        Results of the gates that were not passed.
    """

    exit_code = 1

    def __init__(self, message: str, failed: "tuple[GateResult, ...]") -> None:
        super().__init__(message)
        self.failed = failed
