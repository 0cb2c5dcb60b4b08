"""What two versions lose on the same labelled rows, and how far apart the losses can be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
import numpy as np

from driftgauge.shared.arrays import Flags, Floats, Ints
from driftgauge.shared.performance.layout import Layout
from driftgauge.shared.performance.value import PREDICTIONS, Worth, price
from driftgauge.shared.reference.profile import Column

LossName = Literal["error", "brier", "value"]
HUNDRED: Final = 100.0
"""Predictions of which wrong ones are told."""


class Loss(msgspec.Struct, frozen=True):
    """What versions are compared by: the less of it, the better; but of value, the more.

    Parameters
    ----------
    title
        What it is called.
    unit
        Unit of its values; empty if they have none.
    words
        What stands behind a number in a sentence, such as `kWh of absolute error`.
    """

    name: LossName
    title: str
    unit: str
    words: str

    @property
    def sign(self) -> int:
        """Which way is better: 1 if less is."""
        return -1 if self.name == "value" else 1


@dataclass(frozen=True)
class Pairs:
    """The losses of two versions on the same rows, in the order of the rows.

    Parameters
    ----------
    first, second
        Losses of the one version and of the other; NaN where a row has none.
    apart
        By how much the losses of each row can differ, whatever its label: it follows from what both
        versions said.

    Examples
    --------
    >>> pairs = Pairs(np.array([3.0, np.nan]), np.array([1.0, 2.0]), np.array([2.5, 1.0]))
    >>> pairs.gains.tolist(), pairs.known().gains.tolist()
    ([2.0, nan], [2.0])
    """

    first: Floats
    second: Floats
    apart: Floats

    @property
    def gains(self) -> Floats:
        """By how much the second one loses less, row by row."""
        return self.first - self.second

    def known(self) -> "Pairs":
        """Return the rows in which neither is missing."""
        return self[~np.isnan(self.gains)]

    def __getitem__(self, rows: Flags | Ints) -> "Pairs":
        return Pairs(self.first[rows], self.second[rows], self.apart[rows])

    @classmethod
    def together(cls, parts: Sequence["Pairs"]) -> "Pairs":
        """Put parts together, of which there is at least one."""
        first, second, apart = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("first", "second", "apart")
        )
        return cls(first, second, apart)


@dataclass(frozen=True)
class Answers:
    """What a version said of some rows.

    Parameters
    ----------
    predictions
        Finite numbers, or a list of classes.
    shares
        Probabilities in the order of the layout's classes, shape (rows, classes), NaN where a row
        has none; None if the version gives none.
    """

    predictions: Column
    shares: Floats | None = None


def losses_of(layout: Layout, unit: str, worth: Worth | None, *, scored: bool) -> list[Loss]:
    """Return what versions can be compared by; the first one is what counts if nobody chooses.

    Parameters
    ----------
    unit
        Unit of the predictions.
    worth
        What predictions are worth; None if nobody states it, or it is not known of these classes.
    scored
        Whether both give probabilities of the same classes.

    Examples
    --------
    >>> [loss.words for loss in losses_of(Layout("numeric"), "kWh", None, scored=False)]
    ['kWh of absolute error']
    >>> binary = Layout("categorical", ("no", "yes"))
    >>> [loss.words for loss in losses_of(binary, "", None, scored=True)]
    ['wrong predictions in 100', 'of Brier score']
    """
    found = []
    if worth is not None:
        per = f"{PREDICTIONS:,} predictions"
        found.append(Loss("value", f"value of {per}", worth.unit, f"{worth.unit} per {per}"))
    if layout.kind == "numeric":
        title = "absolute error"
        found.append(Loss("error", title, unit, f"{unit} of {title}".strip()))
    else:
        found.append(Loss("error", "wrong predictions", "in 100", "wrong predictions in 100"))
    if scored:
        found.append(Loss("brier", "Brier score", "", "of Brier score"))
    return found


def pairs_of(
    layout: Layout,
    wanted: list[Loss],
    worth: Worth | None,
    labels: Column,
    first: Answers,
    second: Answers,
) -> Mapping[LossName, Pairs]:
    """Compute the losses of two versions on the same rows.

    Absolute errors of a row differ by no more than the two predictions do.

    Examples
    --------
    >>> loss, both = losses_of(Layout("numeric"), "", None, scored=False), np.array([1.0, 5.0])
    >>> made = pairs_of(Layout("numeric"), loss, None, both, Answers(both + 1), Answers(both - 3))
    >>> made["error"].gains.tolist(), made["error"].apart.tolist()
    ([-2.0, -2.0], [4.0, 4.0])
    """
    return {
        loss.name: _brier(layout, labels, first, second)
        if loss.name == "brier"
        else _distances(labels, first, second, worth if loss.name == "value" else None)
        if layout.kind == "numeric"
        else _values(layout, worth, labels, first, second)
        if loss.name == "value"
        else _wrong(labels, first, second)
        for loss in wanted
    }


def _distances(labels: Column, first: Answers, second: Answers, worth: Worth | None) -> Pairs:
    """Compute absolute errors, or what they cost."""
    factor = 1.0 if worth is None else -price(worth)
    truth, one, other = (
        factor * np.asarray(column, np.float64)
        for column in (labels, first.predictions, second.predictions)
    )
    return Pairs(np.abs(truth - one), np.abs(truth - other), np.abs(one - other))


def _wrong(labels: Column, first: Answers, second: Answers) -> Pairs:
    """Tell which predictions are wrong, as 0 and `HUNDRED`."""
    truth, one, other = (
        np.array(column, dtype=object) for column in (labels, first.predictions, second.predictions)
    )
    differing = (truth != one, truth != other, one != other)
    return Pairs(*(HUNDRED * each.astype(np.float64) for each in differing))


def _values(
    layout: Layout, worth: Worth | None, labels: Column, first: Answers, second: Answers
) -> Pairs:
    """Compute minus the value of each prediction; NaN where the policy states none."""
    assert worth is not None  # noqa: S101  the loss is there with it alone
    lost = -PREDICTIONS * worth.values(layout)
    truth = layout.codes(labels)
    one, other = (layout.codes(side.predictions) for side in (first, second))
    apart = np.nan_to_num(np.abs(lost[:, :, None] - lost[:, None, :])).max(axis=0)
    return Pairs(lost[truth, one], lost[truth, other], apart[one, other])


def _brier(layout: Layout, labels: Column, first: Answers, second: Answers) -> Pairs:
    """Compute the Brier score of each row, as `probabilities.brier` defines it."""
    size = len(layout.classes)
    counted = slice(1, 2) if size == 2 else slice(None)
    corners = np.eye(size + 1)[:, :size]  # the last one is a label that is none of the classes
    one, other = (_squares(side.shares, corners, counted) for side in (first, second))
    rows, truth = np.arange(len(labels)), layout.codes(labels)
    return Pairs(one[rows, truth], other[rows, truth], np.abs(one - other).max(axis=1))


def _squares(shares: Floats | None, corners: Floats, counted: slice) -> Floats:
    """Return the score of each row for each label that it could have."""
    assert shares is not None  # noqa: S101  the loss is there with them alone
    found: Floats = np.stack(
        [((shares - corner)[:, counted] ** 2).sum(axis=1) for corner in corners], axis=1
    )
    return found
