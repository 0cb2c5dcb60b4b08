"""Driving the detectors: who sees what, and with which budget."""

import numpy as np
import pytest

from driftgauge.consumer.counting.detection import detect, rate
from driftgauge.consumer.counting.detectors import DETECTORS, ERROR_DETECTORS
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.counting.state import CountingState
from driftgauge.consumer.worker import Worker
from driftgauge.shared.contract.pane import Alarm
from driftgauge.shared.errors import ConfigurationError
from driftgauge.shared.settings import read_settings
from tests.consumer.builders import cell_map, published

EVENTS = 400


def alarms(
    state: CountingState, policy: CountingPolicy, ordered: tuple[int, ...] = ()
) -> list[Alarm]:
    """Count events whose every value is the smallest that there is, but the city, which is
    missing.
    """
    cells = cell_map(published())
    cells.exchangeable = [column for column in cells.watched if column not in ordered]
    places = np.repeat(cells.offsets[:-1, None], EVENTS, axis=1)
    places[5] = cells.offsets[6] - 1
    ids = [str(number) for number in range(EVENTS)]
    return list(
        detect(
            state,
            policy,
            "1.0.0",
            cells,
            places,
            ids,
            np.arange(EVENTS) * 10,
            np.arange(EVENTS) + 1001,
        )
    )


def test_the_budget_is_shared_by_the_traffic() -> None:
    """Each detector is told its share of the false alarms per event of the whole model; c of the
    e-detector is 1 over it.
    """
    state, policy = CountingState(), CountingPolicy(partitions=4)
    assert rate(state, policy) == pytest.approx(1 / 3_000_000)
    alarms(state, policy)
    assert {
        name: detector.alpha for (name, _), detector in state.detectors.items()
    } == pytest.approx(
        {
            "e_detector": 1e-7,
            "integrity": 0.08 / 3e6,
            "stuck": 0.02 / 3e6,
            "adwin": 1e-7 / 3,
        }
    )
    state.position.traffic.per_day = 50_000.0
    assert rate(state, policy) == pytest.approx(1 / 6_000_000)


def test_a_detector_starts_anew_when_the_traffic_or_its_columns_change() -> None:
    """A rate within a factor of two is kept; another one, or other columns to watch, need another
    detector.
    """
    state, policy = CountingState(), CountingPolicy()
    alarms(state, policy)
    first = dict(state.detectors)
    state.position.traffic.per_day = 150_000.0
    alarms(state, policy)
    assert state.detectors == first
    alarms(state, policy, ordered=(0,))
    changed = {name for name, detector in state.detectors.items() if detector is not first[name]}
    assert changed == {("e_detector", "1.0.0"), ("adwin", "1.0.0")}
    state.position.traffic.per_day = 500_000.0
    alarms(state, policy, ordered=(0,))
    assert all(detector is not first[name] for name, detector in state.detectors.items())


def test_alarms_carry_their_place_and_their_severity() -> None:
    """An alarm names partition, time, event, column and rule; a broken feed is critical, evidence
    alone a warning.
    """
    found = alarms(CountingState(), CountingPolicy(partition=3))
    for alarm in found:
        assert (alarm.partition, alarm.version, alarm.time) == (
            3,
            "1.0.0",
            (alarm.total - 1001) * 10,
        )
        assert alarm.severity == ("critical" if alarm.detector == "integrity" else "warning")
    assert ("integrity", "city", "missing") in {
        (alarm.detector, alarm.column, alarm.statistic) for alarm in found
    }
    assert {alarm.detector for alarm in found} == {"e_detector", "integrity", "adwin"}


def test_ordered_columns_are_kept_from_those_that_need_exchangeable_rows() -> None:
    """With every column ordered in time integrity and the search for stuck values alone run."""
    state = CountingState()
    assert {
        alarm.detector for alarm in alarms(state, CountingPolicy(), ordered=tuple(range(7)))
    } == {"integrity"}
    assert {name for name, _ in state.detectors} == {"integrity", "stuck"}


def test_the_extremes_of_ordered_columns_are_left_to_the_window() -> None:
    """Where rows follow each other a new extreme lasts for hours: online that is no alarm, but
    missing values are.
    """
    every = {(alarm.column, alarm.statistic) for alarm in alarms(CountingState(), CountingPolicy())}
    assert "out_of_range" in {statistic for _, statistic in every}
    found = alarms(CountingState(), CountingPolicy(), ordered=tuple(range(7)))
    assert {(alarm.column, alarm.statistic) for alarm in found} == {("city", "missing")}


def test_the_setting_names_detectors() -> None:
    """Names are separated by commas; one that does not exist is refused before the worker starts,
    with those that do.
    """
    assert read_settings(detectors="adwin, page_hinkley").detectors == ("adwin", "page_hinkley")
    assert read_settings(detectors="").detectors == ()
    assert set(read_settings().detectors) < {*DETECTORS, *ERROR_DETECTORS}
    with pytest.raises(ConfigurationError, match="names kswim; there are adwin, "):
        Worker(read_settings(detectors="adwin,kswim", redis_url="redis://127.0.0.1:1"))
