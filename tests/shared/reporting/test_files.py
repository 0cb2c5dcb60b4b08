import os
import time
from pathlib import Path

import msgspec
import pytest

from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.errors import ConfigurationError
from driftgauge.shared.reporting.files import remove_old, write_report, written
from driftgauge.shared.reporting.html import report_name

replace = msgspec.structs.replace


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_snapshot_has_one_report(snapshot: Snapshot, tmp_path: Path) -> None:
    """Written again, a report replaces itself; another snapshot of the same second gets another
    name, and keeps it.
    """
    other = replace(snapshot, id="steel-v4-1")
    assert written(snapshot, tmp_path) == []
    for one in (snapshot, other, snapshot, other):
        paths = write_report(one, tmp_path)
        assert written(one, tmp_path) == paths
        assert msgspec.json.decode(paths[1].read_bytes(), type=Snapshot) == one
    plain = "drift_report_20240501_100000"
    assert names(tmp_path) == [
        f"{plain}.html",
        f"{plain}.json",
        f"{plain}_2.html",
        f"{plain}_2.json",
    ]


def test_a_report_that_was_cut_off_is_written_again(snapshot: Snapshot, tmp_path: Path) -> None:
    """HTML without JSON is what a crash leaves: the next attempt takes the same name. A file of
    another program is left alone.
    """
    (tmp_path / "drift_report_20240501_100000.html").write_text("half")
    assert written(snapshot, tmp_path) == []
    assert write_report(snapshot, tmp_path)[0].name == "drift_report_20240501_100000.html"
    (tmp_path / "drift_report_20240501_100000.json").write_text("mine")
    assert write_report(snapshot, tmp_path)[0].name == "drift_report_20240501_100000_2.html"
    assert (tmp_path / "drift_report_20240501_100000.json").read_text() == "mine"


def test_old_reports_go(snapshot: Snapshot, tmp_path: Path) -> None:
    """Beyond a number, and after some days, whole reports are removed, the oldest written first;
    other files stay.
    """
    now = time.time()
    for number in range(5):
        for path in write_report(
            replace(snapshot, id=str(number), created=10**12 - number * 10**6), tmp_path
        ):
            os.utime(path, (now - 86_400 * (5 - number),) * 2)
    (tmp_path / "notes.json").write_text("{}")
    (tmp_path / "drift_report_mine.json").write_text("{}")
    assert remove_old(tmp_path, kept=3, days=30, megabytes=1) == 2
    assert remove_old(tmp_path, kept=3, days=1.5, megabytes=1) == 2
    last = report_name(replace(snapshot, created=10**12 - 4 * 10**6))
    assert names(tmp_path) == [
        f"{last}.html",
        f"{last}.json",
        "drift_report_mine.json",
        "notes.json",
    ]


def test_reports_have_a_bound_in_bytes(snapshot: Snapshot, tmp_path: Path) -> None:
    """Of large reports fewer are kept, and the latest whatever its size."""
    for number in range(4):
        paths = write_report(replace(snapshot, id=str(number), created=10**12 + number), tmp_path)
        for path in paths:
            os.utime(path, (10**9 + number,) * 2)
    megabytes = sum(path.stat().st_size for path in paths) / 1e6
    days = time.time() / 86_400
    assert remove_old(tmp_path, 9, days, 2.5 * megabytes) == 2
    assert remove_old(tmp_path, 9, days, megabytes / 2) == 1
    assert names(tmp_path) == [path.name for path in paths]


def test_a_folder_that_cannot_be_written(snapshot: Snapshot, tmp_path: Path) -> None:
    """The error names the folder and the setting."""
    (tmp_path / "steel").write_text("a file")
    with pytest.raises(ConfigurationError, match=r"steel.*DRIFTGAUGE_REPORTS_DIR"):
        write_report(snapshot, tmp_path / "steel")
