"""The e-detector's bets: each expert's distribution of the next values' rank cells.

A bet is a distribution over the cells; its e-value is its probability of the observed cell, divided
by that cell's probability without drift. Bets are fixed for 64 events at a time, and depend only on
earlier events.

Experts of a column: three decayed histograms of the column (mixed half and half with no drift, so
that an e-value is never below a half), nine tilts as of a normal feature that shifts or spreads,
and one that bets on missing values.
"""

import numpy as np
from scipy.special import ndtr, ndtri

from driftgauge.consumer.counting.detectors.rank_cells import MISSING, PRESENT
from driftgauge.shared.arrays import Floats, Ints

DECAYS = np.array([1 / 50, 1 / 200, 1 / 1000])
"""Decay rates of the histograms, per event."""
SHIFTS = (-1.0, -0.5, -0.25, 0.25, 0.5, 1.0)
SCALES = (0.7, 1.25, 1.6)
LOST = 0.05
"""Share of missing values on which the last expert bets."""
HISTOGRAMS = len(DECAYS)
EXPERTS = HISTOGRAMS + len(SHIFTS) + len(SCALES) + 1


def tilts(law: Floats) -> Floats:
    """Return how many times likelier each cell is if a standard normal feature was moved or spread,
    which is cut into cells as the law says.

    Parameters
    ----------
    law
        Shape (cells, …): of the reference alone.

    Returns
    -------
    Shape (tilts, PRESENT, …); 1 where no value can fall.

    Examples
    --------
    >>> law = unmoved(np.array([0] * 4 + [900, 0, 0, 0, 100] + [0] * 4), np.zeros(13))
    >>> np.round(tilts(law)[:, 8] * 0.1, 2).tolist()  # one in ten is wrong; then a share of
    [0.01, 0.04, 0.06, 0.15, 0.22, 0.39, 0.03, 0.15, 0.21]
    """
    present = law[:PRESENT] / law[:PRESENT].sum(axis=0)
    edges = ndtri(np.minimum(np.cumsum(present, axis=0), 1.0))
    edges = np.concatenate((np.full_like(edges[:1], -np.inf), edges))
    edges[-1] = np.inf
    found = []
    for shift, scale in (*((shift, 1.0) for shift in SHIFTS), *((0.0, scale) for scale in SCALES)):
        moved = np.diff(ndtr((edges - shift) / scale), axis=0)
        found.append(np.divide(moved, present, out=np.ones_like(moved), where=present > 0))
    return np.ascontiguousarray(found)


def unmoved(gaps: Ints, counts: Ints) -> Floats:
    """Return the distribution of the cells without drift, shape (cells, …), from the reference's
    gaps and the counts since.
    """
    known: Floats = (gaps + counts).astype(np.float64)
    known /= known.sum(axis=0)
    return known


def bets(law: Floats, histograms: Floats, tilted_by: Floats) -> Floats:
    """Return all experts' bets in some blocks of events.

    Parameters
    ----------
    law
        Distribution without drift, as `unmoved` returns it, shape (cells, blocks, columns).
    histograms
        Decayed histograms, shape (3, cells, blocks, columns).
    tilted_by
        Tilts as `tilts` returns them, shape (tilts, PRESENT, columns).

    Returns
    -------
    Shape (cells x blocks x columns, experts); each bet adds up to 1 over the cells.

    Examples
    --------
    >>> law = unmoved(np.full((13, 1, 1), 100), np.zeros((13, 1, 1)))
    >>> found = bets(law, np.repeat(law[None], 3, axis=0), tilts(law[:, 0]))
    >>> np.allclose(found.sum(axis=0), 1)
    True
    """
    found = np.empty((EXPERTS, *law.shape))
    present = law[:PRESENT]
    mixed, tilted, lost = found[:HISTOGRAMS], found[HISTOGRAMS:-1, :PRESENT], found[-1]
    np.add(histograms, law, out=mixed)
    mixed /= 2
    np.multiply(present, tilted_by[:, :, None], out=tilted)
    tilted *= (present.sum(axis=0) / tilted.sum(axis=1))[:, None]
    found[HISTOGRAMS:-1, MISSING] = law[MISSING]
    np.multiply(law, 1 - LOST, out=lost)
    lost[MISSING] += LOST
    return np.ascontiguousarray(found.reshape(EXPERTS, -1).T)


def faded(counts: Ints, events: Ints) -> tuple[Floats, Floats]:
    """Return a and b of the decayed histograms h <- a h + b after some events: their shares fade,
    and the new cells come in equally.

    Parameters
    ----------
    counts, events
        Counts of the new cells, shape (cells, blocks, columns), and number of new events, shape
        (blocks, columns).

    Returns
    -------
    Shapes (blocks, 3, 1, columns) and (blocks, 3, cells, columns).
    """
    kept: Floats = np.power((1 - DECAYS)[:, None], events[:, None])[:, :, None]
    shares = (counts / np.maximum(events, 1)).swapaxes(0, 1)
    return kept, (1 - kept) * shares[:, None]
