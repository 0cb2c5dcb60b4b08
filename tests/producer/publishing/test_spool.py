import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from driftgauge.producer.publishing import spool_file as files
from driftgauge.producer.publishing.lane import Batch, Entry, Lane
from driftgauge.producer.publishing.spool import Spool
from driftgauge.producer.publishing.spool_file import SpoolFile, adopt, create
from driftgauge.shared.contract.keys import Keys

LOG = b"dg:{steel.0}:log"

pytestmark = pytest.mark.anyio

HOLD = """
import sys
from pathlib import Path
from driftgauge.producer.publishing.spool_file import adopt
mine = [file for path in sorted(Path(sys.argv[1]).glob("*.spool")) if (file := adopt(path, 10**6))]
print(*(file.path.name for file in mine), flush=True)
sys.stdin.read()
"""


def group(lane: Lane, *sequences: int, size: int = 10) -> Batch:
    return [(lane, Entry(lane.publisher, sequence, b"e" * size, None)) for sequence in sequences]


async def sequences(spool: Spool) -> list[int]:
    return [record.sequence for _, record in await spool.read()]


def holder(folder: Path) -> subprocess.Popen[str]:
    """A process that adopts what it can, tells what, and holds it."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def told(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().split()


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


async def left(folder: Path, *batches: Batch) -> Path:
    """What a process leaves that spooled and ended."""
    spool = Spool(folder, 10**6, Keys().is_log_of)
    for batch in batches:
        assert await spool.write(batch) == len(batch)
    await spool.close()
    (path,) = paths(folder)
    return path


def paths(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


async def test_adopted_with_old_publisher_and_numbers(tmp_path: Path) -> None:
    """What an ended process spooled is read with its publisher and numbers; acknowledged and aged,
    its file is removed.
    """
    lane = Lane("steel", b"dg:{steel.0}:log")
    await left(tmp_path, group(lane, 4, 5), group(lane, 6))
    spool = Spool(tmp_path, 10**6, Keys().is_log_of)
    await spool.adopt()
    assert (spool.adopted, spool.events) == (1, 3)
    found = await spool.read()
    assert [(record.publisher, record.sequence) for _, record in found] == [
        (lane.publisher, n) for n in (4, 5, 6)
    ]
    for file, record in found:
        file.acknowledge(record.offset, 100)
    await spool.sweep(99.9)
    assert (spool.events, spool.doubt()) == (0, 3)
    assert await sequences(spool) == [4, 5, 6]  # the server restarted: they are sent again
    for file, record in found:
        file.acknowledge(record.offset, 100)
    await spool.sweep(100)
    assert (paths(tmp_path), spool.bytes) == ([], 0)
    await spool.close()


async def test_a_damaged_file_is_sent_around_the_damage_and_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A flipped byte is logged and counted once; the other events are sent, and the file is put
    aside.
    """
    path = await left(tmp_path, group(Lane("steel", LOG), 1, 2, 3, size=50))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    spool = Spool(tmp_path, 10**6, Keys().is_log_of)
    await spool.adopt()
    found = await spool.read()
    assert [record.sequence for _, record in found] == [1, 3]
    assert (spool.damaged, spool.events) == (1, 2)
    assert "damaged" in caplog.text
    for file, record in found:
        file.acknowledge(record.offset, 0)
    await spool.sweep(10)
    assert [one.suffix for one in paths(tmp_path)] == [".damaged"]
    await spool.close()


async def test_a_disk_is_tried_out_until_it_takes_what_it_refused(tmp_path: Path) -> None:
    """A fault ends without an event to write, once as many bytes as were refused find room; a few
    bytes prove nothing. Nothing is left of the tries.
    """
    spool = Spool(tmp_path, 10**6, Keys().is_log_of)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        refused = group(Lane("steel", LOG), 1, 2, 3, size=500)
        assert await spool.write(refused) == 0
        assert (await spool.probe(), spool.fault) == (False, "error")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (await spool.probe(), spool.fault) == (True, None)
    assert await spool.write(refused) == 3
    await spool.close()
    assert [path.stat().st_size > 0 for path in paths(tmp_path)] == [True]


async def test_a_living_process_keeps_its_file(tmp_path: Path) -> None:
    """A file is left alone while its process lives, and adopted when it was killed."""
    await left(tmp_path, group(Lane("steel", LOG), 1, 2))
    owner = holder(tmp_path)
    assert len(told(owner)) == 1
    spool = Spool(tmp_path, 10**6, Keys().is_log_of)
    await spool.adopt()
    assert spool.events == 0
    end(owner)
    await spool.adopt()
    assert await sequences(spool) == [1, 2]
    await spool.close()


def test_a_file_has_one_owner(tmp_path: Path) -> None:
    """Processes that look for orphans at the same time share them: each file has exactly one
    owner.
    """
    for _ in range(60):
        create(tmp_path).release()
    owners = [holder(tmp_path) for _ in range(4)]
    shares = [told(owner) for owner in owners]
    assert sorted(name for share in shares for name in share) == sorted(
        path.name for path in paths(tmp_path)
    )
    for owner in owners:
        end(owner)


def test_a_removed_file_is_not_adopted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening and locking a file its owner may have sent and removed it: then there is
    nothing to adopt.
    """
    mine = create(tmp_path)
    opened = os.open

    def slow(path: Path, flags: int) -> int:
        descriptor = opened(path, flags)
        mine.discard()
        return descriptor

    monkeypatch.setattr(files.os, "open", slow)
    assert adopt(mine.path, 10**6) is None


async def test_a_failed_sync_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a disk error the group stays with the caller, the fault is named, and a later group
    begins another file.
    """
    lane = Lane("steel", LOG)
    spool = Spool(tmp_path, 10**6, Keys().is_log_of)
    await spool.write(group(lane, 1))
    with monkeypatch.context() as patched:

        def fail(_: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        patched.setattr(files, "_sync", fail)
        batch = group(lane, 2)
        assert (await spool.write(batch), spool.fault, batch[0][1].file) == (0, "error", None)
    assert (await spool.write(batch), spool.fault) == (1, None)
    await spool.close()
    again = Spool(tmp_path, 10**6, Keys().is_log_of)
    await again.adopt()
    assert (again.adopted, await sequences(again), await sequences(again), again.damaged) == (
        2,
        [1],
        [2],
        0,
    )
    await again.close()


async def test_bounded_in_bytes(tmp_path: Path) -> None:
    """Of a group only what fits is written, the fault says why, and room comes back when a file is
    done with.
    """
    lane = Lane("steel", LOG)
    spool = Spool(tmp_path, 1000, Keys().is_log_of)
    assert await spool.write(group(lane, *range(20))) < 20
    assert (spool.fault, spool.bytes <= 1000) == ("full", True)
    assert await spool.write(group(lane, 20)) == 0
    assert (await spool.probe(), spool.fault) == (False, "full")
    for file in list(spool._files):
        _acknowledge_all(file)
    await spool.sweep(10)
    assert (await spool.probe(), spool.fault) == (True, None)
    assert (await spool.write(group(lane, 20)), spool.fault) == (1, None)
    await spool.close()


def _acknowledge_all(file: SpoolFile) -> None:
    for record in file.read().records:
        file.acknowledge(record.offset, 0)
