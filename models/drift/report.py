"""The record of a simulation as a JSON file: the injection, the verdict, the model's metrics."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from driftgauge.models.drift.posting import Posted
from driftgauge.models.drift.verdict import Verdict
from driftgauge.shared.errors import BadData
from driftgauge.shared.storage.atomic import replace
from driftgauge.shared.versions.scores import Outcomes, score

METRICS = {True: ("mae", "rmse", "r2"), False: ("accuracy", "f1_macro")}
"""Metrics of a regression (True: the predictions are numbers) and of a classification (False)."""


class Record(msgspec.Struct, frozen=True):
    """The record of one simulation.

    Parameters
    ----------
    created
        Time at which it began, ISO 8601 in UTC.
    drift, shape, intensity
        Kind, growth over time and size of the drift (plan.py).
    injected
        Description of the drift in words.
    events, injected_at, changed
        Number of rows: all of them, those before the drift, and those that were perturbed.
    labels
        Number of labels that the API accepted.
    rejected_labels
        Reason to the number of labels that the API rejected for it.
    found, passed
        True if every expected alert came; and if, besides, none came before the drift.
    before, after
        Metric to its value on the rows before and after the injection, by the true values that the
        simulator knows. Empty if it knows none.
    seconds
        Time that the simulation took.
    """

    created: str
    model: str
    version: str
    drift: str
    shape: str
    intensity: float
    seed: int
    injected: str
    events: int
    injected_at: int
    changed: int
    labels: int
    rejected_labels: dict[str, int]
    found: bool
    passed: bool
    verdict: Verdict
    before: dict[str, float]
    after: dict[str, float]
    seconds: float


def metrics(posted: Sequence[Posted]) -> dict[str, float]:
    """Compute the metrics of the rows whose true value is known.

    A metric that is not defined for these rows is left out; without such rows the result is empty.
    """
    known = [one for one in posted if one.row.label is not None and one.prediction is not None]
    if not known:
        return {}
    numeric = not isinstance(known[0].prediction, str)
    truth = [one.row.label for one in known]
    made = [one.prediction for one in known]
    labelled = (
        Outcomes(np.array(truth, dtype=np.float64), np.array(made, dtype=np.float64))
        if numeric
        else Outcomes(truth, made)
    )
    found = {}
    for name in METRICS[numeric]:
        try:
            found[name] = score(name, labelled)
        except BadData:
            continue
    return found


def errors(posted: Sequence[Posted]) -> NDArray[np.float64]:
    """Compute each row's error, shape (rows,): absolute for a number, 0 or 1 for a class.

    It is NaN where the true value is not known.
    """
    return np.array(
        [
            np.nan
            if one.row.label is None or one.prediction is None
            else float(one.row.label != one.prediction)
            if isinstance(one.prediction, str)
            else abs(float(one.row.label) - one.prediction)
            for one in posted
        ]
    )


def now() -> str:
    """Return the current time, ISO 8601 in UTC, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write(record: Record, folder: Path) -> Path:
    """Write the record as a JSON file, which appears whole or not at all, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    moment = record.created[:19].replace(":", "").replace("-", "")
    path = folder / f"{moment}-{record.model}-{record.drift}-{record.shape}.json"
    replace(path, msgspec.json.format(msgspec.json.encode(record), indent=2))
    return path
