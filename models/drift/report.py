"""The record of a simulation: what was injected, what came of it, and how good the predictions were
before and after.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from driftgauge.models.drift.posting import Posted
from driftgauge.models.drift.verdict import Verdict
from driftgauge.shared.errors import BadData
from driftgauge.shared.registry.atomic import replace
from driftgauge.shared.versions.scores import Outcomes, score

METRICS = {True: ("mae", "rmse", "r2"), False: ("accuracy", "f1_macro")}
"""Of numbers, and of classes."""


class Record(msgspec.Struct, frozen=True):
    """A simulation.

    Parameters
    ----------
    created
        ISO 8601, UTC.
    injected
        What changed, in words.
    injected_at, changed
        Events before the drift; events of the new world.
    labels, rejected_labels
        Labels that the API accepted; reason to number of those that it did not.
    before, after
        Metrics on the rows before and after the injection, by the truth as this client knows it.
    seconds
        From the first request to the last answer.
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
    """Measure rows whose truth is known; what is not defined for them is left out."""
    known = [one for one in posted if one.row.label is not None and one.prediction is not None]
    if not known:
        return {}
    numeric = not isinstance(known[0].prediction, str)
    truth = [one.row.label for one in known]
    made = [one.prediction for one in known]
    outcomes = (
        Outcomes(np.array(truth, dtype=np.float64), np.array(made, dtype=np.float64))
        if numeric
        else Outcomes(truth, made)
    )
    found = {}
    for name in METRICS[numeric]:
        try:
            found[name] = score(name, outcomes)
        except BadData:
            continue
    return found


def errors(posted: Sequence[Posted]) -> NDArray[np.float64]:
    """Give each row's error: 0 or 1 of classes, the absolute one of numbers; NaN where the truth is
    not known.
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
    return datetime.now(UTC).isoformat(timespec="seconds")


def write(record: Record, folder: Path) -> Path:
    """Write the record as JSON; it appears whole or not at all. Gives its path, whose stem is that
    of the picture.
    """
    folder.mkdir(parents=True, exist_ok=True)
    moment = record.created[:19].replace(":", "").replace("-", "")
    path = folder / f"{moment}-{record.model}-{record.drift}-{record.shape}.json"
    replace(path, msgspec.json.format(msgspec.json.encode(record), indent=2))
    return path
