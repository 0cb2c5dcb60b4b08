"""Up to when acknowledged events are safe."""

from driftgauge.producer.publishing.kept import LEAST_S, Kept
from driftgauge.producer.publishing.server import Server


def test_without_replicas_the_server_must_live_on() -> None:
    """An append-only file may lose its last second: what is younger than some seconds is not
    safe.
    """
    kept = Kept(60)
    kept.note(100, Server(b"a", offset=10))
    assert kept.until(103) == 103 - LEAST_S


def test_a_replica_must_have_confirmed_it() -> None:
    """A replica that lags holds back what it lacks, though the server lives on; the slowest one
    counts; and what it confirmed is let go.
    """
    kept = Kept(60)
    for second in range(30):
        kept.note(second, Server(b"a", offset=100 * second, confirmed=(100 * second, 450)))
    assert kept.until(29) == 4
    kept.note(30, Server(b"a", offset=3000, confirmed=(2900, 2900)))
    assert kept.until(30) == 30 - LEAST_S


def test_a_replica_that_is_gone_is_waited_for_as_long_as_the_setting_says() -> None:
    """The replica that left may be the one that takes over; after the longest time nothing waits
    for it any more.
    """
    kept = Kept(60)
    kept.note(0, Server(b"a", offset=10, confirmed=(10,)))
    for second in range(1, 100):
        kept.note(second, Server(b"a", offset=10 + second))
    assert kept.until(50) == 0
    assert kept.until(99) == 39
    kept.forget()
    kept.note(100, Server(b"b", offset=1))
    assert kept.until(100) == 100 - LEAST_S
