"""The promise of `driftgauge erase`: what a person's rows were is nowhere any more, whoever is
killed meanwhile, and nothing else has changed.
"""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import redis
from click.testing import CliRunner

from driftgauge.consumer.commands.kept.erase import erase
from driftgauge.shared.archive.erasures import records
from driftgauge.shared.archive.scan import Range, scan
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.events import LABEL, Label, encode
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import BadData, RedisUnavailable
from tests.consumer.builders import Entry, event, raw, traffic
from tests.fork_server import FORKS
from tests.integration.plant import (
    MODEL,
    PUBLISHED,
    append,
    counters,
    end,
    settings_of,
    wait_for,
    worker_process,
)

WHO = "Zaphod"
REASON = ("--reason", "asked to")
EVERY = 4
"""Each so manieth event is the person's."""


def name_of(number: int) -> str:
    return f"{WHO if number % EVERY == 0 else 'other'}-{number}"


def made(numbers: range, labelled: Iterator[int]) -> list[Entry]:
    """Make events and their labels, of which every tenth one is corrected."""
    now = int(time.time() * 1000)
    rows = traffic(np.random.default_rng(numbers.start), len(numbers))
    found = [
        event(now, number, row, id=name_of(number))
        for number, row in zip(numbers, rows, strict=True)
    ]
    for number in numbers:
        for value in (1.0, 2.0) if number % 10 == 0 else (2.0,):
            label = Label(name_of(number), value, now)
            entry = raw("0-0", next(labelled), encode(label), b"labels")
            entry[1][1] = LABEL
            found.append(entry)
    return found


class Deployment:
    """A log, a worker that counts and archives it, and the environment of the command."""

    def __init__(self, client: redis.Redis, url: str, keys: Keys, folder: Path) -> None:
        self.client, self.keys = client, keys
        self.archive = folder / "archive"
        self.store = FolderStore(self.archive)
        self.worker_log = folder / "worker.log"
        more = {"archive_url": str(self.archive), "archive_seconds": 0.05}
        self.settings = settings_of(url, keys, reports_kept=0, **more, lease_ms=900)
        self.environment = {
            **os.environ,
            "DRIFTGAUGE_REDIS_URL": url,
            "DRIFTGAUGE_KEY_PREFIX": keys.prefix,
            "DRIFTGAUGE_ARCHIVE_URL": str(self.archive),
        }
        manifest = msgspec.structs.replace(PUBLISHED.manifest, labels=True)
        labelled = msgspec.structs.replace(PUBLISHED, manifest=manifest)
        client.hset(keys.versions(MODEL), "1.0.0", labelled.pack())
        client.sadd(keys.models, MODEL)
        self.log, self._labelled = keys.log(MODEL, 0), itertools.count(1)
        self.start()

    def start(self) -> None:
        self.worker = worker_process(self.settings, self.worker_log)

    def kill(self) -> None:
        end(self.worker, signal.SIGKILL)
        self.start()

    def append(self, numbers: range) -> None:
        append(self.client, self.log, made(numbers, self._labelled), with_ids=False)

    def send(self, numbers: range) -> None:
        """Append events, and wait until they are counted and archived."""
        self.append(numbers)
        last, _ = self.client.xrevrange(self.log, count=1)[0]
        wait_for(lambda: self.archived() >= EntryId.parse(last), "the archive")

    def archived(self) -> EntryId:
        found: Any = self.client.hget(self.keys.archive(MODEL, 0), "offset")
        return EntryId.parse(found or b"0-0")

    def counters(self) -> Counters:
        return counters(self.client, self.keys)

    def erasing(self, *given: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "driftgauge", "erase", MODEL, *given, *REASON]
        with Path(os.devnull).open("wb") as nowhere:
            return FORKS.popen(command, nowhere, nowhere, self.environment)

    def ids(self, kind: Any) -> list[str]:
        told: list[str] = []
        found = [
            one
            for batch in scan(self.store, kind, Range(MODEL), told.append, ["id"])
            for one in batch.column("id").to_pylist()
        ]
        assert not told
        return found

    def readable(self) -> str:
        """Return all that can be read in Redis and in the archive."""
        found: list[Any] = [self.ids("predictions"), self.ids("labels")]
        for key in self.client.scan_iter(f"{self.keys.prefix}:*"):
            kind = self.client.type(key)
            if kind == b"stream":
                found.append(self.client.xrange(key))
            elif kind == b"hash":
                found.append(self.client.hgetall(key))
        return repr(found)


@pytest.fixture
def deployment(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path
) -> Iterator[Deployment]:
    made = Deployment(client, redis_url, keys, tmp_path)
    yield made
    assert end(made.worker) == 0
    assert "Traceback" not in made.worker_log.read_text()


def begun(deployment: Deployment) -> bool:
    return bool(records(deployment.store, MODEL))


def files_are_changed(deployment: Deployment) -> bool:
    return any((deployment.archive / "predictions").rglob("*-g1.parquet"))


def log_is_shorter(deployment: Deployment) -> bool:
    return deployment.client.xlen(deployment.log) < 5000


@pytest.mark.parametrize("until", [begun, files_are_changed, log_is_shorter])
def test_who_is_killed_does_it_again(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, until: Callable[[Deployment], bool]
) -> None:
    """The command and the worker are killed while it erases. Run again, it leaves nothing of these
    rows in Redis and the archive; all other rows and every count are as they were, and what comes
    later is counted once and missed by nobody.
    """
    deployment.send(range(1, 2401))
    before = deployment.counters()
    assert (before.events, before.labels.joined, before.missing) == (2400, 2400, 0)
    names = [name_of(number) for number in range(1, 2401) if number % EVERY == 0]
    given = [part for name in names for part in ("--id", name)]
    command = deployment.erasing(*given)
    wait_for(lambda: until(deployment) or command.poll() is not None, "a step", pause_s=0.0005)
    command.kill()
    command.wait()
    deployment.kill()
    assert WHO in deployment.readable() or command.returncode == 0

    for name, value in deployment.environment.items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(erase, [MODEL, *given, *REASON, "--json"])
    assert done.exit_code == 0, done.output
    assert WHO not in deployment.readable()
    others = [name_of(number) for number in range(1, 2401) if number % EVERY]
    assert sorted(deployment.ids("predictions")) == sorted(others)
    told = records(deployment.store, MODEL)
    assert [one.reason for one in told] == ["asked to"] * 2
    assert told[-1].gone == msgspec.json.decode(done.stdout)
    assert WHO not in (deployment.archive / "_state" / MODEL / "erasures.json").read_text()

    deployment.send(range(2401, 2501))
    after = deployment.counters()
    assert (after.events, after.labels.joined) == (2500, 2500)
    assert (after.missing, after.lost, after.duplicates, after.dead) == (0, 0, 0, 0)
    assert (after.labels.unknown, after.labels.early) == (0, 0)
    later = [name_of(number) for number in range(2401, 2501)]
    assert sorted(deployment.ids("predictions")) == sorted([*others, *later])


def test_what_is_not_archived_yet_is_waited_for(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a worker it is told that the log may hold such rows, and who is behind; with one it
    waits for it, so that no row comes to the archive afterwards.
    """
    for name, value in deployment.environment.items():
        monkeypatch.setenv(name, value)
    deployment.send(range(1, 101))
    end(deployment.worker, signal.SIGKILL)
    deployment.append(range(101, 201))
    names = ("--id", name_of(100), "--id", name_of(200))
    done = CliRunner().invoke(erase, [MODEL, *names, *REASON, "--wait", "0"])
    assert isinstance(done.exception, BadData), done.output
    assert "counting has read the log of partition 0 only up to" in str(done.exception)
    assert name_of(100) not in deployment.readable()
    assert name_of(200) in deployment.readable()
    deployment.start()
    done = CliRunner().invoke(erase, [MODEL, *names, *REASON])
    assert done.exit_code == 0, done.output
    assert "Waiting until what is in the log is archived." in done.stderr
    assert name_of(200) not in deployment.readable()


def test_an_archive_is_erased_without_redis(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What can be erased is; that nothing is known of the log is an error."""
    for name, value in deployment.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DRIFTGAUGE_REDIS_URL", "redis://127.0.0.1:1")
    deployment.send(range(1, 101))
    done = CliRunner().invoke(erase, [MODEL, "--id", name_of(100), *REASON])
    assert isinstance(done.exception, RedisUnavailable)
    assert "nothing is known of the log" in str(done.exception)
    assert name_of(100) not in deployment.ids("predictions")
    assert done.stdout.startswith("Erased: 1 predictions, 2 labels")
