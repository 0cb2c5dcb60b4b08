"""Reports are files of the worker: one a snapshot, whatever happens to workers, disks and Redis."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from driftgauge.consumer import worker as worker_module
from driftgauge.consumer.stages import reporting
from driftgauge.consumer.stages.follower import Follower
from driftgauge.consumer.stages.reporting import Reports
from driftgauge.consumer.stages.stage import raw_reads
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.alerts import cloud_event
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.snapshot import Snapshot, Window
from driftgauge.shared.errors import BadData
from driftgauge.shared.settings import Settings
from tests.integration.plant import (
    MODEL,
    append,
    counters,
    events,
    judged_all,
    publish,
    settings_of,
    stage_thread,
    wait_for,
    worker_thread,
)

MAY_1 = 1_714_557_600_000


def taken(number: int, second: int | None = None) -> Snapshot:
    return Snapshot(
        id=f"{MODEL}-1.0.0-{number}",
        model=MODEL,
        version="1.0.0",
        trigger="schedule",
        created=MAY_1 + 1000 * (number if second is None else second),
        severity="ok",
        verdict="Normal.",
        window=Window(0, 1, 2000, 8, 2000),
        reference_rows=5000,
        features=[],
        prediction=None,
        alerts=[],
        events_per_day=1.0,
    )


def stage(redis_url: str, keys: Keys, folder: Path, model: str = MODEL, **more: object) -> Follower:
    settings = Settings(**settings_of(redis_url, keys, reports_dir=folder, **more))
    client = raw_reads(connect(redis_url))
    sink = Reports(client, settings, model, keys=keys, logs=[connect(redis_url)])
    return Follower(client, settings, keys, model, keys.snapshots(model), sink)


def reports(folder: Path) -> list[str]:
    return sorted(
        msgspec.json.decode(path.read_bytes())["id"] for path in (folder / MODEL).glob("*.json")
    )


def all_read(client: redis.Redis, keys: Keys) -> bool:
    """Whether the writer has come to the end of the stream."""
    last = client.xrevrange(keys.snapshots(MODEL), count=1)[0][0]  # type: ignore[index]
    return bool(client.hget(keys.follower(MODEL, "reports"), "offset") == last)


def test_each_snapshot_is_written_once(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path
) -> None:
    """What judging took becomes HTML and JSON of the same name, with the pipeline's state, and
    nothing else.
    """
    publish(client, keys)
    append(
        client,
        keys.log(MODEL, 0),
        events(1, 6000, int(time.time() * 1000) - 200_000, shift_from=3000),
    )
    with worker_thread(settings_of(redis_url, keys, reports_dir=tmp_path)):
        wait_for(
            lambda: judged_all(client, keys) and client.xlen(keys.snapshots(MODEL)) > 1, "snapshots"
        )
        wait_for(
            lambda: len(reports(tmp_path)) == client.xlen(keys.snapshots(MODEL)), "their reports"
        )
    ids = [
        msgspec.json.decode(fields[b"e"])["id"]
        for _, fields in client.xrange(keys.snapshots(MODEL))
    ]
    assert reports(tmp_path) == sorted(ids)
    names = sorted(path.name for path in (tmp_path / MODEL).iterdir())
    assert [Path(name).stem for name in names[::2]] == [Path(name).stem for name in names[1::2]]
    page = (tmp_path / MODEL / names[-2]).read_text()
    assert page.startswith("<!doctype html>")
    assert "<h2>Pipeline</h2>" in page


def test_superseded_snapshots_have_no_report_while_many_wait(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path
) -> None:
    """Of 25 that wait the first 20 are looked at together: of each version the last one is written,
    and what an alert asked for; the five after them are written each. None is left behind.
    """
    for number in range(25):
        one = taken(number)
        if number in {3, 11}:
            one = msgspec.structs.replace(one, trigger="alert")
        if number == 7:
            one = msgspec.structs.replace(one, version="2.0.0")
        client.xadd(keys.snapshots(MODEL), {"e": cloud_event(one)})
    # who loses a lease reads again from where it stood, and other twenty wait together
    writer = stage(redis_url, keys, tmp_path, lease_ms=60_000)
    with stage_thread(writer, redis_url):
        wait_for(lambda: all_read(client, keys), "all snapshots to be passed")
    written = [3, 7, 11, 19, *range(20, 25)]
    assert reports(tmp_path) == sorted(f"{MODEL}-1.0.0-{number}" for number in written)


def test_a_writer_that_died_leaves_no_gap_and_no_double(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between a file and its offset, at any of them: the next one writes it to the same name
    and goes on.
    """
    for number in range(6):
        client.xadd(keys.snapshots(MODEL), {"e": cloud_event(taken(number, second=number // 2))})

    class Killed(BaseException):
        pass

    for survived in range(
        3
    ):  # commits of this life, before it ends with a file that no offset tells of
        one = stage(redis_url, keys, tmp_path)
        assert one.checkpoint.acquire()
        one.load()
        lives = iter([one.checkpoint.commit] * survived)

        def commit(*written: Any, lives: Iterator[Callable[..., None]] = lives) -> None:
            alive = next(lives, None)
            if alive is None:
                raise Killed
            alive(*written)

        monkeypatch.setattr(one.checkpoint, "commit", commit)
        with pytest.raises(Killed):
            one.turn()
        one.close()
    assert len(reports(tmp_path)) == 4
    with stage_thread(stage(redis_url, keys, tmp_path), redis_url):
        wait_for(lambda: len(reports(tmp_path)) == 6, "all reports")
        wait_for(
            lambda: (
                client.hget(keys.follower(MODEL, "reports"), "offset")
                == client.xrevrange(keys.snapshots(MODEL), count=1)[0][0]
            ),
            "it",
        )
    assert reports(tmp_path) == [f"{MODEL}-1.0.0-{number}" for number in range(6)]
    assert len(list((tmp_path / MODEL).iterdir())) == 12


def test_a_disk_that_fails_delays_reports_alone(
    client: redis.Redis,
    redis_url: str,
    keys: Keys,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """While the folder cannot be written judging goes on; the fault is told once, and all reports
    come when it is mended.
    """
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    publish(client, keys)
    append(client, keys.log(MODEL, 0), events(1, 3000, int(time.time() * 1000) - 200_000))
    with (
        caplog.at_level(logging.ERROR),
        worker_thread(settings_of(redis_url, keys, reports_dir=blocked)),
    ):
        wait_for(
            lambda: judged_all(client, keys) and client.xlen(keys.snapshots(MODEL)), "a snapshot"
        )
        epoch = keys.follower_epoch(MODEL, "reports")
        wait_for(lambda: int(client.get(epoch) or 0) >= 3, "the third attempt")  # type: ignore[arg-type]
        assert "DRIFTGAUGE_REPORTS_DIR" in caplog.text
        blocked.unlink()
        wait_for(lambda: len(reports(blocked)) == client.xlen(keys.snapshots(MODEL)), "the reports")
    assert caplog.text.count("cannot be written") == 1


def test_a_disk_that_hangs_delays_nothing(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a report is being written for ever, everything is judged, and the worker ends when it
    is told to.
    """
    hangs, mended = threading.Event(), threading.Event()

    def hang(*_: object) -> None:
        hangs.set()
        mended.wait(60)

    monkeypatch.setattr(reporting, "write_report", hang)
    monkeypatch.setattr(worker_module, "WRITER_PATIENCE_S", 0.2)
    publish(client, keys)
    with worker_thread(settings_of(redis_url, keys, reports_dir=tmp_path)):
        append(client, keys.log(MODEL, 0), events(1, 3000, int(time.time() * 1000) - 200_000))
        assert hangs.wait(40)
        append(
            client,
            keys.log(MODEL, 0),
            events(2, 3000, int(time.time() * 1000) - 100_000, first=3001),
        )
        wait_for(
            lambda: counters(client, keys).events == 6000 and judged_all(client, keys),
            "6,000 events",
        )
    mended.set()


def test_a_name_that_is_a_path(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path
) -> None:
    """A model that was put into Redis by hand under the name of a path gets no folder, and no file
    anywhere.
    """
    name = "../../outside"
    client.xadd(keys.snapshots(name), {"e": cloud_event(taken(1))})
    one = stage(redis_url, keys, tmp_path / "a" / "b", name)
    with pytest.raises(BadData, match="no name of a model"):
        one.load()
    one.close()
    assert not list(tmp_path.iterdir())


def test_two_writers_share_without_doubles(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path
) -> None:
    """Of two workers one writes at a time; the other goes on where it stopped, into another folder
    if it is another host.
    """
    for number in range(10):
        client.xadd(keys.snapshots(MODEL), {"e": cloud_event(taken(number))})
    here, there = tmp_path / "here", tmp_path / "there"
    with stage_thread(stage(redis_url, keys, here), redis_url):
        wait_for(lambda: len(reports(here)) == 10, "the first reports")
        with stage_thread(stage(redis_url, keys, there), redis_url) as stop:
            client.xadd(keys.snapshots(MODEL), {"e": cloud_event(taken(10))})
            wait_for(lambda: len(reports(here)) == 11, "the next report")
            stop.set()
    with stage_thread(stage(redis_url, keys, there), redis_url):
        client.xadd(keys.snapshots(MODEL), {"e": cloud_event(taken(11))})
        wait_for(lambda: len(reports(there)) == 1, "the other one's report")
    assert len(reports(here)) == 11


def test_old_reports_and_broken_entries(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path
) -> None:
    """The folder keeps so many reports as are asked for; what is no snapshot has none, and stops
    nothing.
    """
    for number in range(12):
        client.xadd(keys.snapshots(MODEL), {"e": cloud_event(taken(number))})
        client.xadd(keys.snapshots(MODEL), {"e": "{"} if number % 2 else {"other": "1"})
    with stage_thread(stage(redis_url, keys, tmp_path, reports_kept=3), redis_url):
        wait_for(
            lambda: (
                client.hget(keys.follower(MODEL, "reports"), "offset")
                == client.xrevrange(keys.snapshots(MODEL), count=1)[0][0]
            ),
            "it",
        )
    assert reports(tmp_path) == [f"{MODEL}-1.0.0-{number}" for number in (10, 11, 9)]


def test_no_reports_if_none_are_kept(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path
) -> None:
    """With `reports_kept` 0 the worker has no writer."""
    publish(client, keys)
    with worker_thread(settings_of(redis_url, keys, reports_dir=tmp_path, reports_kept=0)):
        wait_for(lambda: client.exists(keys.judge_owner(MODEL)), "judging")
        assert not [
            thread for thread in threading.enumerate() if thread.name == f"reporting {MODEL}"
        ]
    assert not list(tmp_path.iterdir())
