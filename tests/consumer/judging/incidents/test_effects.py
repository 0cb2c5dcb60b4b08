"""What happened, in words: each kind of column and change, both ways."""

import numpy as np
import pytest

from driftgauge.consumer.counting.detectors.effect import normal_shift
from driftgauge.consumer.judging.alerts.lifecycle import AlertState
from driftgauge.consumer.judging.incidents import effects
from driftgauge.shared.contract.alert import AlertEvidence
from driftgauge.shared.reference.profile import CategoricalReference, NumericReference

RANDOM = np.random.default_rng(0)
USUAL = RANDOM.normal(50, 10, 5000)
LOAD = NumericReference.build("load", USUAL)
CITY = CategoricalReference.build("city", ["rome"] * 600 + ["oslo"] * 400)


def cells_of(values: np.ndarray) -> np.ndarray:
    """Count values in the cells of the load."""
    return np.bincount(LOAD.cells(values), minlength=len(LOAD.counts))


@pytest.mark.parametrize(
    ("values", "rule", "said"),
    [
        (USUAL + 5, "psi", "reads about 5 (0.5 sd) too high"),
        (USUAL - 20, "psi", "reads about 20 (2 sd) too low"),
        (50 + (USUAL - 50) * 0.5, "psi", "varies 0.5 times as much as usual"),
        (
            np.append(USUAL, [np.nan] * 5000),
            "missing",
            "is missing in 50 % of the rows, usually 0 %",
        ),
        (np.append(USUAL, [500.0] * 1000), "out_of_range", "is above 8"),
        (np.append(USUAL, [-500.0] * 1000), "out_of_range", "is below 1"),
        (np.append(USUAL, [-500.0, 500.0] * 500), "out_of_range", "is outside of 1"),
        (np.append(USUAL, [500.0] * 1000), "out_of_range", "in 17 % of the rows, usually 0"),
    ],
)
def test_a_number(values: np.ndarray, rule: str, said: str) -> None:
    """A shift in its own unit and in standard deviations, a spread, and what is broken."""
    assert said in effects.of_column(LOAD, cells_of(values), rule)


@pytest.mark.parametrize(
    ("values", "rule", "said"),
    [
        (USUAL + 5, "psi", "reads about 5 kWh (0.5 sd) too high"),
        (np.append(USUAL, [500.0] * 1000), "out_of_range", "kWh in 17 %"),
        (
            np.append(USUAL, [np.nan] * 5000),
            "missing",
            "is missing in 50 % of the rows, usually 0 %",
        ),
    ],
)
def test_a_number_has_its_unit(values: np.ndarray, rule: str, said: str) -> None:
    """The unit stands beside what has it, and nowhere else."""
    found = effects.of_column(LOAD, cells_of(values), rule, unit="kWh")
    assert said in found
    assert found.count("kWh") == said.count("kWh")


def test_a_prediction_is_not_too_high() -> None:
    """What a model says may be right, so it is just higher."""
    found = effects.of_column(LOAD, cells_of(USUAL + 5), "psi", usual="higher")
    assert found == "reads about 5 (0.5 sd) higher"


@pytest.mark.parametrize(
    ("values", "rule", "said"),
    [
        (["rome"] * 2 + ["oslo"] * 8, "psi", "is “rome” in 20 % of the rows, usually 60 %"),
        (
            ["rome"] * 5 + ["oslo"] * 3 + ["bern"] * 2,
            "unseen",
            "has new values in 20 % of the rows, usually 0 %",
        ),
        (["rome"] * 5 + [None] * 5, "missing", "is missing in 50 % of the rows, usually 0 %"),
    ],
)
def test_a_category(values: list[str | None], rule: str, said: str) -> None:
    """The value whose share changed most, and what is broken."""
    cells = np.bincount(CITY.cells(values), minlength=len(CITY.counts))
    assert effects.of_column(CITY, cells, rule).startswith(said)


def test_no_rows_say_nothing() -> None:
    """An alarm may come before any pane."""
    assert effects.of_column(LOAD, np.zeros(len(LOAD.counts), dtype=np.int64), "psi") == "changed"


def alert(rule: str, segment: str = "", **evidence: object) -> AlertState:
    """Make an alert with evidence."""
    given: dict[str, object] = {
        "statistic": "mae", "value": 4.9, "threshold": None, "expected": 1.09, "n": 1, "m": 1,
        "events": 1, "window_start": 0, "window_end": 1,
    }  # fmt: skip
    found = AlertEvidence(**{**given, **evidence})  # type: ignore[arg-type]  # as given
    return AlertState(
        "f", "1", "", rule, "critical", "firing", 0, 0, "said so", evidence=found, segment=segment
    )


def test_the_performance() -> None:
    """A metric moves from its baseline, in its unit; a detector of errors knows only that they
    grew.
    """
    assert effects.of_performance(alert("performance.mae")) == "MAE rose from 1.09 to 4.9"
    assert effects.of_performance(alert("performance.mae", unit="kWh")).endswith("to 4.9 kWh")
    fall = alert("segment.performance", "city=oslo", statistic="accuracy", value=0.7, expected=0.9)
    assert effects.of_performance(fall) == "accuracy in city=oslo fell from 0.9 to 0.7"
    assert effects.of_performance(alert("performance.ddm", statistic="ddm")) == "the errors grew"
    assert effects.of_performance(alert("performance.adwin", expected=None)) == "the errors grew"


def test_a_limit() -> None:
    """A limit says value and limit."""
    late = alert("threshold.latency_p99_ms", value=123.4, threshold=100.0)
    said = "the slowest 1 % of the answers take 123 ms or longer; the limit is 100 ms"
    assert effects.of_limit(late) == said
    few = alert("threshold.events_per_day", value=10.0, threshold=50.0)
    assert effects.of_limit(few) == "10 events a day; the limit is 50"


@pytest.mark.parametrize("mean_rank", [0.2, 0.45, 0.638, 0.9])
def test_an_alarm_tells_the_shift_as_the_detectors_do(mean_rank: float) -> None:
    """Counting's estimate and judging's words are one computation."""
    shift = normal_shift(mean_rank)
    side = "high" if shift > 0 else "low"
    said = effects.of_alarm(alert("e_detector", mean_rank=mean_rank), ordered=True)
    assert said == f"reads about {abs(shift):.1f} sd too {side}"


def test_an_alarm_that_is_no_shift_is_told_in_its_words() -> None:
    """Categories have no order, and a spread no shift."""
    words = alert("adwin", effect="50.0 % missing instead of 0.1 % over 40 events", mean_rank=0.5)
    assert effects.of_alarm(words, ordered=True) == "changed: 50 % missing instead of 0.1 %"
    shares = alert("adwin", effect="12 % of the categories' shares moved", mean_rank=0.9)
    assert "categories" in effects.of_alarm(shares, ordered=False)
