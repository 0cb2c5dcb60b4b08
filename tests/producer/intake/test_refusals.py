from typing import Any

from driftgauge.producer.intake.refusals import MOST_SERIES, NO_FIELD, Refusals
from driftgauge.shared.contract.refused import (
    HOUR_MS,
    MOST_FAULTS,
    SLICE_MS,
    Fault,
    Refused,
    last_hour,
)
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import FieldError, Schema

SCHEMA = Schema((Feature("x", "numeric", minimum=0), Feature("a/b", "categorical")))
LIMIT = 5


class Process:
    """An API process, at times that the test chooses."""

    def __init__(self, began: int = 0) -> None:
        self.now = began
        self.refusals = Refusals(lambda: self.now)

    def refuse(self, times: int = 1, **features: Any) -> None:
        for _ in range(times):
            _, faults = SCHEMA.positional(features, "/7/features")
            self.refusals.refuse("m", SCHEMA, faults)

    def told(self, now: int) -> Refused:
        return self.refusals.told("m", now)


def test_by_field_and_reason() -> None:
    """A refused event counts once, and once for each of its bad fields, by a reason of a closed
    list; a field that only the client knows has no name.
    """
    process = Process()
    process.refuse(3, x="n/a", **{"a/b": "c"})
    process.refuse(2, x=-1)
    process.refuse(1, x=1.0, **{"a/b": "c", "mine": 1})
    process.refusals.refuse("m", None, [FieldError("/7", "must be an object", "unreadable")])
    assert process.refusals.events == {"m": 7}
    assert process.refusals.faults == {
        ("m", "x", "wrong_type"): 3,
        ("m", "x", "out_of_range"): 2,
        ("m", "a/b", "missing"): 2,
        ("m", NO_FIELD, "unknown_field"): 1,
        ("m", NO_FIELD, "unreadable"): 1,
    }


def test_the_series_are_bounded() -> None:
    """However many fields are bad, so many series are told apart, and none is lost to the count."""
    names = [f"f{number}" for number in range(2 * MOST_SERIES)]
    schema = Schema(tuple(Feature(name, "numeric") for name in names))
    process = Process()
    for _ in range(2):
        process.refusals.refuse("m", schema, schema.positional({})[1])
    assert len(process.refusals.faults) == MOST_SERIES + 1
    assert process.refusals.events == {"m": 2}
    assert len(process.told(0).faults) == MOST_FAULTS


def test_the_processes_make_one_hour() -> None:
    """What several processes tell adds up, however often and whenever each tells it; their own
    clocks do not matter; after an hour it is gone.
    """
    one, other = Process(0), Process(10**12)
    one.refusals.take("m", 990)
    other.refuse(10, x="n/a", **{"a/b": "c"})
    for now in (0, 5_000, SLICE_MS, HOUR_MS - 5_000):
        found = last_hour([one.told(now), other.told(0)], now)
        assert (found.taken, found.refused) == (990, 10)
        assert found.faults == [Fault("x", "wrong_type", 10)]
        assert found.last_ms == 0
        one.now = now
    late = last_hour([one.told(HOUR_MS + SLICE_MS), other.told(0)], HOUR_MS + SLICE_MS)
    assert (late.refused, late.faults) == (0, [])


def test_when_a_feed_is_broken_and_when_it_is_well() -> None:
    """Many and a share that matters are broken; it is well when none was refused for ten minutes
    and events came since, not when nothing came at all.
    """
    process = Process()
    process.refusals.take("m", 4990)
    process.refuse(LIMIT)
    assert process.refusals.hour("m").is_bad(process.now, LIMIT) is not True
    process.refuse(LIMIT)
    assert process.refusals.is_bad("m", LIMIT)
    process.refusals.take("m", 10**6)
    assert process.refusals.hour("m").is_bad(process.now, LIMIT) is False, "a few among millions"

    silent = Process()
    silent.refuse(5000)
    for silent.now in (1, 600_000, 2 * HOUR_MS):
        assert silent.refusals.hour("m").is_bad(silent.now, LIMIT) is not False
    silent.refusals.take("m", 1)
    assert silent.refusals.hour("m").is_bad(silent.now, LIMIT) is False


def test_events_of_another_process_make_it_well() -> None:
    """Behind a load balancer the process that refused may get no more: the others' events count,
    those before the refusal do not.
    """
    refusing, other = Process(), Process()
    other.refusals.take("m", 50)
    refusing.refuse(50, x="n/a")
    refusing.now = other.now = 2 * SLICE_MS
    assert (
        last_hour([refusing.told(other.now), other.told(other.now)], other.now).is_bad(
            other.now, LIMIT
        )
        is None
    )
    other.refusals.take("m", 1)
    told = [refusing.told(other.now), other.told(other.now)]
    assert last_hour(told, other.now).is_bad(other.now, LIMIT) is False
