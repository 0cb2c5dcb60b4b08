"""What was changed in an archive, is gone or foreign, is named."""

from pathlib import Path

from driftgauge.shared.archive.manifest import NAME
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.archive.verifying import verify
from tests.shared.archive.making import DAY_MS, MODEL, NOON, prediction, write


def test_each_fault_is_named(tmp_path: Path) -> None:
    """One changed byte, a file that is gone, a foreign one and a damaged manifest."""
    store = FolderStore(tmp_path)
    for day in range(4):
        write(store, 10 * day, [prediction(day, NOON + day * DAY_MS)])
    assert [found.fault for found in verify(store, MODEL)] == [""] * 4
    files = sorted(tmp_path.glob("predictions/*/*/*.parquet"))
    content = bytearray(files[0].read_bytes())
    content[10] ^= 1
    files[0].write_bytes(content)
    files[1].unlink()
    (files[2].parent / NAME).write_text("[]")
    (files[3].parent / "foreign.parquet").write_bytes(b"PAR1")
    faults = {found.path: found.fault for found in verify(store, MODEL) if found.fault}
    assert faults == {
        files[0].relative_to(tmp_path).as_posix(): "was changed: it does not have its checksum",
        files[1].relative_to(tmp_path).as_posix(): "is gone",
        (files[2].parent / NAME).relative_to(tmp_path).as_posix(): "is no manifest",
        (files[3].parent / "foreign.parquet")
        .relative_to(tmp_path)
        .as_posix(): "is in no manifest, so it is not read",
    }
