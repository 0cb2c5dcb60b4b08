"""Where the value of the predictions comes from, cell by cell of the confusion matrix."""

from math import isnan
from typing import Final

import numpy as np

from driftgauge.shared.contract.snapshot import Confusion
from driftgauge.shared.performance import (
    OTHER,
    VALUE,
    PerformanceBaselines,
    Sums,
    Worth,
    amounts,
    confusion,
    largest_loss,
)
from driftgauge.shared.wording.numbers import short_figure, with_unit
from driftgauge.shared.wording.plain import clip

NAME: Final = 40
"""Most characters of a class in a sentence."""


def where_lost(sums: Sums, baselines: PerformanceBaselines, worth: Worth | None) -> str:
    """Say which right or wrong predictions took most of a value that fell, as a clause; empty if it
    is not known.
    """
    reference, layout = baselines.reference, baselines.layout
    if worth is None or worth.lacking(layout) or reference is None or not reference.confusion:
        return ""
    before = np.array(reference.confusion, np.int64)
    label, said, lost = largest_loss(sums.matrix, before, worth.values(layout))
    names = [f"“{clip(one, NAME)}”" for one in (*layout.classes, OTHER)]
    now, then = sums.matrix[label, said] / sums.matrix.sum(), before[label, said] / before.sum()
    amount, often = with_unit(short_figure(lost), worth.unit), "more" if now > then else "fewer"
    return f"{amount} by {often} {names[label]} predicted as {names[said]}"


def value_notes(worth: Worth | None, baselines: PerformanceBaselines | None) -> list[str]:
    """Say in a sentence why a value that the policy states is not judged; nothing if it is.

    Examples
    --------
    >>> from driftgauge.shared.performance import Layout
    >>> value_notes(Worth("EUR", {}), PerformanceBaselines(Layout("categorical", ("a", "b")), {}))
    ["The value of predictions is not known: the policy states no value of the class 'a'."]
    """
    if worth is None or baselines is None:
        return []
    lacking = worth.lacking(baselines.layout)
    if lacking:
        return [f"The value of predictions is not known: {clip(lacking, 200)}."]
    if baselines.baseline(VALUE, worth) is not None:
        return []
    why = "the version has no labelled reference rows"
    if baselines.reference is not None:
        why = (
            "the release that registered the version kept no confusion matrix, so register it anew"
        )
    return [f"The value of predictions has no baseline, and is not judged: {why}."]


def confusion_report(sums: Sums, worth: Worth | None) -> Confusion:
    """Report the confusion matrix, with what each cell adds to the value."""
    classes, matrix = confusion(sums)
    if worth is None or worth.lacking(sums.layout):
        return Confusion(classes, matrix)
    shown = amounts(sums.matrix, worth.values(sums.layout))[: len(classes), : len(classes)]
    known = [[None if isnan(one) else one for one in row] for row in shown.tolist()]
    return Confusion(classes, matrix, known, worth.unit)
