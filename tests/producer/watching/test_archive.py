"""An archive that does not keep up."""

from dataclasses import replace

from driftgauge.producer.reading.model_state import ArchivingState, PartitionState
from driftgauge.shared.settings import Settings
from tests.producer.watching.test_blind import HOUR_MS, START, Watch, partition

LATE_MS = int(Settings().archive_lag_hours * HOUR_MS / 10)


def archived(
    oldest_ms: int | None = None, missing: int = 0, *, owned: bool = True
) -> PartitionState:
    return replace(partition(), archiving=ArchivingState(owned, missing, oldest_ms))


def test_a_slow_archive_is_told_long_before_the_log_goes_on_without_it() -> None:
    """A tenth of the time for which the log waits is too late; half of that is well again."""
    watch = Watch()
    assert watch.look(archived(START - LATE_MS)) == [], "a minute is usual"
    assert watch.look(archived(START - 2 * LATE_MS)) == ["blind.archive firing"]
    assert "14.4 hours behind" in watch.memory.told["archive"]
    assert watch.look(archived(START - LATE_MS // 2 - 60_000)) == []
    assert watch.look(archived()) == ["blind.archive resolved"]


def test_what_the_archive_lacks_is_told() -> None:
    """Predictions that left the log too early are an alert for an hour, with their number."""
    watch = Watch()
    assert watch.look(archived(missing=5)) == [], "before anybody looked"
    assert watch.look(archived(missing=17), archived(missing=3)) == ["blind.archive firing"]
    assert "15 predictions" in watch.memory.told["archive"]
    assert "20 in all" in watch.memory.told["archive"]
    both = archived(missing=17), archived(missing=3)
    assert watch.look(*both, after=2 * HOUR_MS) == ["blind.archive resolved"]


def test_an_archive_that_nobody_writes_is_not_behind() -> None:
    """It was switched off; so was one that never was."""
    watch = Watch()
    assert watch.look(archived(START - 9 * LATE_MS, owned=False), partition(1)) == []
