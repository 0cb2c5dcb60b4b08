"""Performance without labels: the estimate is within its interval of the truth, and follows a
change in who is scored.
"""

from typing import Any

import numpy as np
import pytest

from driftgauge.shared.performance import (
    Layout,
    ScoreMap,
    Sums,
    Worth,
    can_estimate,
    empty_counts,
    estimate,
    metrics,
    score_counts,
)

TWO = Layout("categorical", ("no", "yes"), scored=True)
WORTH = Worth("EUR", {"no": {"no": 1, "yes": -20}, "yes": {"no": -5, "yes": 8}})
THREE = Layout("categorical", ("a", "b", "c"), scored=True)


def overconfident(
    rng: np.random.Generator, rows: int, shift: float = 0.0
) -> tuple[list[str], list[str], Any]:
    """Draw predictions, labels and probabilities of a model whose probabilities are too extreme."""
    logit = rng.normal(shift, 1, rows)
    labels = rng.random(rows) < 1 / (1 + np.exp(-logit))
    scores = 1 / (1 + np.exp(-2.5 * logit))
    names = np.array(TWO.classes)
    return (
        names[(scores > 0.5).astype(int)].tolist(),
        names[labels.astype(int)].tolist(),
        np.column_stack([1 - scores, scores]),
    )


def of_three(
    rng: np.random.Generator, rows: int, shift: float = 0.0
) -> tuple[list[str], list[str], Any]:
    """The same with three classes."""
    logits = rng.normal((shift, 0, 0), 1, (rows, 3))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (rng.random(rows)[:, None] > np.cumsum(shares, axis=1)).sum(axis=1).clip(0, 2)
    given = np.exp(2 * logits) / np.exp(2 * logits).sum(axis=1, keepdims=True)
    names = np.array(THREE.classes)
    return names[given.argmax(axis=1)].tolist(), names[labels].tolist(), given


@pytest.mark.parametrize(("layout", "draw"), [(TWO, overconfident), (THREE, of_three)])
@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_the_interval_holds_the_truth(layout: Layout, draw: Any, shift: float) -> None:
    """With and without a change in who is scored, 9 in 10 intervals hold what the labels give, and
    narrow ones do: though the model's own probabilities are far off. Of three classes 8 in 10 do:
    each is mapped by its own probability alone.
    """
    rng = np.random.default_rng(5)
    hits: dict[str, int] = {}
    for _ in range(60):
        _, reference, given = draw(rng, 4000, shift / 2)
        scores = ScoreMap.fit(layout, reference, given)
        assert scores is not None
        predictions, labels, probabilities = draw(rng, 1000, shift)
        counts = score_counts(layout, predictions, probabilities)
        found = estimate(counts, scores, layout, worth=WORTH)
        truth = metrics(Sums.of(layout, predictions, labels, probabilities), worth=WORTH)
        for name in (
            "accuracy",
            "f1_macro",
            "f1_weighted",
            *(["roc_auc", "value"] if layout.binary else []),
        ):
            value, low, high = truth[name].value, found[name].low, found[name].high
            assert value is not None
            assert low is not None
            assert high is not None
            assert high - low < (3000 if name == "value" else 0.16)
            hits[name] = hits.get(name, 0) + (low <= value <= high)
    assert all(count >= (54 if layout.binary else 48) for count in hits.values()), hits


def test_it_follows_who_is_scored() -> None:
    """When rows come that the model is unsure of, the estimate falls as the truth does, without a
    label.
    """
    rng = np.random.default_rng(6)
    _, reference, given = overconfident(rng, 5000)
    scores = ScoreMap.fit(TWO, reference, given)
    assert scores is not None
    sure, _, clear = overconfident(rng, 4000, 2.0)
    unsure, _, unclear = overconfident(rng, 4000, 0.0)
    high, low = (
        estimate(score_counts(TWO, said, given), scores, TWO)["accuracy"]
        for said, given in ((sure, clear), (unsure, unclear))
    )
    assert high.low is not None
    assert low.high is not None
    assert high.low > low.high + 0.1


def test_counts_add_over_panes() -> None:
    """The counts of two panes are the sum of theirs, so the estimate is that of all rows."""
    predictions, _, given = of_three(np.random.default_rng(7), 50)
    parts = score_counts(THREE, predictions[:20], given[:20]) + score_counts(
        THREE, predictions[20:], given[20:]
    )
    assert (parts == score_counts(THREE, predictions, given)).all()
    assert empty_counts(THREE).shape == parts.shape


def test_nothing_is_estimated_where_nothing_can_be() -> None:
    """Without probabilities, classes or enough labels there is no map; without rows no estimate."""
    predictions, labels, given = overconfident(np.random.default_rng(8), 250)
    assert ScoreMap.fit(TWO, labels[:100], given[:100]) is None
    assert not can_estimate(Layout("categorical", ("no", "yes")))
    assert not can_estimate(Layout("numeric"))
    assert not can_estimate(None)
    scores = ScoreMap.fit(TWO, labels, given)
    assert scores is not None
    assert estimate(empty_counts(TWO), scores, TWO) == {}
    counts = score_counts(TWO, predictions, given)
    other = Worth("EUR", {"a": {"a": 1, "b": 0}, "b": {"a": 0, "b": 1}})
    for worth in (None, other, Worth("EUR", cost_per_unit_of_error=1.0)):
        assert "value" not in estimate(counts, scores, TWO, worth=worth)
    never = ScoreMap.fit(TWO, ["no"] * 250, given)
    assert never is not None
    found = estimate(score_counts(TWO, predictions, given), never, TWO)
    assert "roc_auc" not in found
    assert found["f1:yes"].value == 0


def test_the_map_is_rising_and_of_all_bins() -> None:
    """Frequencies rise with the score, and a score that the reference never had has that of its
    neighbours.
    """
    _, labels, given = overconfident(np.random.default_rng(9), 2000)
    middle = np.abs(given[:, 1] - 0.5) < 0.45
    scores = ScoreMap.fit(
        TWO, [label for label, kept in zip(labels, middle, strict=True) if kept], given[middle]
    )
    assert scores is not None
    assert (np.diff(scores.frequencies[0]) >= 0).all()
    assert scores.frequencies.shape == (1, 256)
    assert scores.frequencies[0, 0] == scores.frequencies[0, 10]
