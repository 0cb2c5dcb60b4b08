"""A verdict is about how two samples differ, not about how they are written."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from driftgauge.consumer.offline.comparison import compare
from driftgauge.shared.arrays import Floats

Law = Callable[[np.random.Generator, int, bool], Floats]


def flags(random: np.random.Generator, rows: int, moved: bool) -> Floats:  # noqa: FBT001  a law
    return (random.random(rows) < (0.5 if moved else 0.95)).astype(float)


def capped(random: np.random.Generator, rows: int, moved: bool) -> Floats:  # noqa: FBT001
    return np.minimum(random.normal(-1 if moved else 0, 1, rows), -1.3)


def zero_inflated(random: np.random.Generator, rows: int, moved: bool) -> Floats:  # noqa: FBT001
    return np.where(random.random(rows) < 0.92, 0, random.gamma(2, 50, rows) / (4 if moved else 1))


def normal(random: np.random.Generator, rows: int, moved: bool) -> Floats:  # noqa: FBT001
    return random.normal(0.7 if moved else 0, 1, rows)


def counts(random: np.random.Generator, rows: int, moved: bool) -> Floats:  # noqa: FBT001
    return random.poisson(5 if moved else 3, rows).astype(float)


def constant(_: np.random.Generator, rows: int, moved: bool) -> Floats:  # noqa: FBT001
    return np.full(rows, 4.0 if moved else 2.0)


LAWS: list[Law] = [flags, capped, zero_inflated, normal, counts, constant]
WRITTEN: dict[str, Callable[[Floats], Floats]] = {
    "as it is": lambda values: values,
    "mirrored": lambda values: -values,
    "scaled": lambda values: 1024 * values,
    "moved": lambda values: values + 64,
}


@pytest.mark.parametrize("law", LAWS)
def test_a_verdict_does_not_hang_on_how_numbers_are_written(law: Law) -> None:
    """Mirrored, scaled and moved samples have the same severity, with drift and without, and a PSI
    that differs by no more than a quarter: single rows at the ends of bins change sides.
    """
    random = np.random.default_rng(11)
    reference, calm, drifted = (
        law(random, 6000, False),
        law(random, 3000, False),
        law(random, 3000, True),
    )
    for window, bad in ((calm, {"ok"}), (drifted, {"warning", "critical"})):
        found = {
            name: compare(
                pd.DataFrame({"x": write(reference)}), pd.DataFrame({"x": write(window)})
            ).features[0]
            for name, write in WRITTEN.items()
        }
        assert {feature.severity for feature in found.values()} <= bad
        assert len({feature.severity for feature in found.values()}) == 1
        values = [
            next(one.value for one in feature.statistics if one.name == "psi")
            for feature in found.values()
        ]
        known = [value for value in values if value is not None]
        assert max(known) - min(known) <= 0.25 * max(known) + 0.01


def any_samples(random: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw two samples of any two laws: some values with any shares, the second law more or less
    like the first, and sometimes a part of the rows that is spread around them.
    """
    values = np.sort(random.choice(40, random.integers(1, 14), replace=False)).astype(float)
    first, other = random.dirichlet(np.full(len(values), 0.4), 2)
    like = random.random() ** 2
    laws = (2000, first), (1000, (1 - like) * first + like * other)
    spread = 0.3 if random.random() < 0.5 else 0.0
    before, after = (
        random.choice(values, rows, p=law)
        + random.normal(size=rows) * (random.random(rows) < spread)
        for rows, law in laws
    )
    return before, after


def test_any_two_samples_have_one_verdict_however_they_are_written() -> None:
    """Of 60 pairs of samples, a third of which drift, each has the same severity mirrored, scaled
    and moved (measured: no difference in 900 comparisons).
    """
    random, found = np.random.default_rng(5), []
    for _ in range(60):
        before, after = any_samples(random)
        severities = {
            compare(pd.DataFrame({"x": write(before)}), pd.DataFrame({"x": write(after)})).severity
            for write in WRITTEN.values()
        }
        assert len(severities) == 1
        found += severities
    assert min(found.count("ok"), found.count("critical")) > 5


def test_how_far_values_lie_beyond_the_reference_is_seen() -> None:
    """The Wasserstein distance of a comparison is that of its rows: 10 standard deviations are 10,
    though all values lie beyond the reference's.
    """
    random = np.random.default_rng(6)
    before, after = (pd.DataFrame({"x": random.normal(far, 1, 2000)}) for far in (0, 10))
    statistics = {one.name: one for one in compare(before, after).features[0].statistics}
    assert statistics["wasserstein"].value == pytest.approx(10, abs=0.1)
    assert statistics["ks"].value == 1.0


def test_a_verdict_does_not_hang_on_the_names_of_categories() -> None:
    """Categories that are called otherwise, in reference and window alike, have the same verdict
    and the same PSI.
    """
    random = np.random.default_rng(12)
    names = np.array([f"c{place:02d}" for place in range(30)])
    chances = np.arange(30, 0, -1) / 465
    reference, calm = random.choice(30, 6000, p=chances), random.choice(30, 3000, p=chances)
    drifted = random.choice(30, 3000, p=chances[::-1])
    other = names[random.permutation(30)]
    for window in (calm, drifted):
        one, two = (
            compare(pd.DataFrame({"x": named[reference]}), pd.DataFrame({"x": named[window]}))
            for named in (names, other)
        )
        assert one.features[0].severity == two.features[0].severity
        assert one.features[0].statistics[0].value == pytest.approx(
            two.features[0].statistics[0].value, rel=1e-6
        )


def test_single_precision_is_no_drift() -> None:
    """The same numbers from a client that stores them as float32 have a PSI of 0."""
    steps = (np.arange(3000) % 11) / 10
    before = pd.DataFrame({"x": steps, "y": (np.arange(3000) % 7 - 5.9) / 3.17})
    after = before.head(2000).astype(np.float32)
    found = compare(before, after)
    assert [feature.severity for feature in found.features] == ["ok", "ok"]
    for feature in found.features:
        assert next(one.value for one in feature.statistics if one.name == "psi") < 0.01
