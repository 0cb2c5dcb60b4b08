"""The client's spool: what a disk may do to it, and what is sent of it."""

import os
from pathlib import Path
from zlib import crc32

import pytest

from driftgauge.client import Monitor
from driftgauge.client import spool as spools
from driftgauge.client.spool import File, Spool
from driftgauge.client.unit import EVENT, LABEL, Numbered
from tests.client.fake_api import Asked, fake_api, taken


def put(spool: Spool, *names: str, kind: bytes = EVENT) -> list[bool]:
    payloads = (
        b'{"id":"%s","prediction_id":"%s"}' % (name.encode(), name.encode()) for name in names
    )
    return [
        spool.put(kind, crc32(name.encode()), payload)
        for name, payload in zip(names, payloads, strict=True)
    ]


def sent(spool: Spool) -> list[tuple[str, int, Numbered]]:
    """Take and settle all: publisher, partitions, item."""
    found = []
    while (unit := spool.take()) is not None:
        for batch in unit.batches:
            found += [(batch.publisher, batch.partitions, item) for item in batch.items]
        unit.settle()
    return found


def left_behind(folder: Path, *names: str) -> Path:
    """The file of a process that has ended."""
    spool = Spool(str(folder), "steel", 1 << 20)
    assert all(put(spool, *names))
    spool.close(keep=True)
    return max(folder.iterdir())


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(str(tmp_path), "steel", 1 << 20)


def test_what_is_not_settled_is_given_again(spool: Spool, tmp_path: Path) -> None:
    """Until a unit is settled the same is given, with the same numbers; a file of which all is
    settled is removed at the end.
    """
    put(spool, "a", "b")
    first, second = spool.take(), spool.take()
    assert first is not None
    assert second is not None
    assert first.batches == second.batches
    first.settle()
    assert not spool.waits
    put(spool, "c")
    assert [item[1] for _, _, item in sent(spool)] == [3]
    spool.close()
    assert not list(tmp_path.iterdir())


def test_files_are_of_bounded_size(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full file is followed by another one, under the same publisher; a file is removed as soon
    as it is settled, so that the bound holds for what waits.
    """
    monkeypatch.setattr(spools, "FILE_BYTES", 2000)
    names = [f"id-{place}" for place in range(100)]
    assert all(put(spool, *names))
    assert len(list(tmp_path.iterdir())) > 2
    found = sent(spool)
    assert [item[1] for _, _, item in found] == list(range(1, 101))
    assert len({publisher for publisher, _, _ in found}) == 1
    assert len(list(tmp_path.iterdir())) <= 1


def test_a_full_spool_takes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so, and takes events again when some are settled."""
    monkeypatch.setattr(spools, "FILE_BYTES", 500)
    spool = Spool(str(tmp_path), "steel", 1000)
    taken_ = put(spool, *(f"id-{place}" for place in range(100)))
    assert 0 < sum(taken_) < 40
    assert taken_ == sorted(taken_, reverse=True)
    assert len(sent(spool)) == sum(taken_)
    assert put(spool, "more") == [True]


@pytest.mark.parametrize("at", ["header", "record", "tail"])
def test_a_damaged_file_loses_what_is_damaged_alone(tmp_path: Path, at: str) -> None:
    """Other records are sent under their own numbers, so that the hole is seen; one that the end
    cuts off was never accepted; a file without its header is left alone.
    """
    path = left_behind(tmp_path, "a", "b", "c")
    content = bytearray(path.read_bytes())
    place = {"header": content.index(b"model"), "record": content.index(b'"b"')}
    if at == "tail":
        del content[-3:]
    else:
        content[place[at]] ^= 1
    path.write_bytes(content)
    spool = Spool(str(tmp_path), "steel", 1 << 20)
    spool.adopt()
    numbers = [item[1] for _, _, item in sent(spool)]
    assert numbers == {"header": [], "record": [1, 3], "tail": [1, 2]}[at]
    assert spool.damaged == (at == "record")
    assert path.exists() == (at == "header")


def test_strange_files_are_left_alone(tmp_path: Path) -> None:
    """Those of another model, of a living process, or of nobody's making."""
    folder = tmp_path / "spool"
    other = Spool(str(folder), "other", 1 << 20)
    put(other, "a")
    other.close(keep=True)
    living = Spool(str(folder), "steel", 1 << 20)
    put(living, "b")
    (folder / "odd.monitor").write_bytes(b"odd")
    (folder / "folder.monitor").mkdir()
    (folder / "link.monitor").symlink_to(tmp_path / "nowhere")
    before = sorted(folder.iterdir())
    spool = Spool(str(folder), "steel", 1 << 20)
    spool.adopt()
    assert sent(spool) == []
    spool.close()
    assert sorted(folder.iterdir()) == before


def test_a_disk_that_fails_is_tried_again(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it does not take is not given a number, so nothing is missed; after a second it is tried
    again, in another file under another name.
    """
    put(spool, "a")
    real, now = os.write, [1000.0]
    monkeypatch.setattr(spools.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(os, "write", lambda descriptor, content: real(descriptor, content[:9]))
    assert put(spool, "b", "c") == [False, False]
    assert spool.failed
    monkeypatch.setattr(os, "write", real)
    assert put(spool, "d") == [False]
    now[0] += 1
    assert put(spool, "e") == [True]
    found = sent(spool)
    assert [(item[2][7:8], item[1]) for _, _, item in found] == [(b"a", 1), (b"e", 1)]
    assert len({publisher for publisher, _, _ in found}) == 2
    assert spool.damaged == 0


def test_other_partitions_are_numbered_anew(tmp_path: Path) -> None:
    """What was numbered for one partition, of this process or of one before, is numbered for three:
    each file in one step, under another name, and events and labels by their prediction's id.
    """
    left_behind(tmp_path, *(f"old-{place}" for place in range(30)))
    spool = Spool(str(tmp_path), "steel", 1 << 20)
    spool.adopt()
    names = [f"id-{place}" for place in range(30)]
    put(spool, *names)
    put(spool, *names, kind=LABEL)
    old = {
        batch.publisher for unit in (spool.take(), spool.take()) if unit for batch in unit.batches
    }
    spool.renumber(3)
    put(spool, "new")
    found = sent(spool)
    assert len(found) == 91
    assert {partitions for _, partitions, _ in found} == {3}
    assert not old & {publisher for publisher, _, _ in found}
    by_lane: dict[tuple[str, int], list[int]] = {}
    for publisher, _, item in found:
        name = item[2].split(b'"')[3]
        assert item[0] == crc32(name) % 3
        by_lane.setdefault((publisher, item[0]), []).append(item[1])
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in by_lane.values())


def test_a_spool_of_one_partition_meets_an_api_of_two(tmp_path: Path) -> None:
    """An API that has more partitions takes all of a spool, each event once."""

    def answer(asked: Asked) -> tuple[int, dict[str, object]]:
        return taken(asked) if asked.query["partitions"] == "2" else (409, {"partitions": 2})

    left_behind(tmp_path, "a", "b", "c")
    with fake_api(answer) as api, Monitor(api.url, "steel", spool=tmp_path) as monitor:
        monitor.log({"x": 1}, 1, id="d")
        assert monitor.flush()
        ids = [
            item["id"] for one in api.asked if one.query["partitions"] == "2" for item in one.items
        ]
    assert sorted(ids) == ["a", "b", "c", "d"]


def test_a_record_longer_than_a_piece_is_read(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long a record is, it is read whole, and so are those after it."""
    monkeypatch.setattr(spools, "PIECE", 64)
    spool.put(EVENT, 0, b'{"id":"%s"}' % (b"x" * 5000))
    put(spool, "b")
    assert [len(item[2]) for _, _, item in sent(spool)] == [5009, 30]


def test_a_file_that_was_cut_meanwhile_ends(tmp_path: Path) -> None:
    """Somebody cut it: reading ends where it ends."""
    path = left_behind(tmp_path, "a", "b")
    descriptor = os.open(path, os.O_RDWR)
    file = File(str(path), descriptor, path.stat().st_size, {"publisher": "p", "partitions": 1})
    os.truncate(path, 0)
    assert file.next()[1] == file.size
    file.close()
