"""A registry folder that is looked at often: what did not change is not read again, and nothing
that did is missed.
"""

import os
import time
from pathlib import Path

import pytest

from driftgauge.shared.registry.glance import Glance
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.storage.folder import SETTLED_S


class Counting(ModelRegistry):
    """Counts the files of stages that are read."""

    read = 0

    def production(self, model: str) -> str:
        self.read += 1
        return super().production(model)


def write(path: Path, content: str, age_s: float = 0.0) -> None:
    """Replace a file as a whole, as the registry does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(content)
    new.replace(path)
    then = time.time() - age_s
    os.utime(path, (then, then))


@pytest.fixture
def registry(tmp_path: Path) -> Counting:
    for number in range(50):
        write(tmp_path / f"m{number}" / "stages.json", '{"production": "1.0.0"}', SETTLED_S + 1)
    write(tmp_path / "torn" / "stages.json", "{", SETTLED_S + 1)
    write(tmp_path / "none" / "stages.json", "{}", SETTLED_S + 1)
    return Counting(tmp_path)


def test_what_did_not_change_is_not_read_again(registry: Counting) -> None:
    """Of 52 models only the one that cannot be read is tried again, and one that was replaced is
    seen at the next look.
    """
    glance = Glance(registry)
    found = glance.production()
    assert {name for name, version in found.items() if version == "1.0.0"} == {
        f"m{number}" for number in range(50)
    }
    assert isinstance(found["torn"], Exception)
    assert "none" not in found
    before = registry.read
    assert glance.production().keys() == found.keys()
    assert registry.read == before + 1
    write(registry.folder / "m7" / "stages.json", '{"production": "2.0.0"}', SETTLED_S + 1)
    assert glance.production()["m7"] == "2.0.0"
    (registry.folder / "m7" / "stages.json").unlink()
    assert "m7" not in glance.production()


def test_a_file_of_this_moment_is_read_again(registry: Counting) -> None:
    """Two changes within a step of the file system's clock may look alike, so a young file does not
    count as known.
    """
    glance, path = Glance(registry), registry.folder / "m1" / "stages.json"
    path.write_text('{"production": "3.0.0"}')
    assert glance.production()["m1"] == "3.0.0"
    mark = path.stat()
    path.write_text('{"production": "4.0.0"}')
    os.utime(path, ns=(mark.st_atime_ns, mark.st_mtime_ns))
    assert glance.production()["m1"] == "4.0.0"


def test_a_calibration_is_told_once(registry: Counting) -> None:
    """One that is there when it is asked for the first time counts as changed, and then each new
    one, and its end.
    """
    glance = Glance(registry)
    path = registry.folder / "m1" / "calibrations" / "1.0.0.json"
    assert not glance.calibrated("m1", "1.0.0")
    for content in ("{}", "[]"):
        write(path, content, SETTLED_S + 1)
        assert [glance.calibrated("m1", "1.0.0") for _ in range(2)] == [True, False]
    glance.look_again("m1", "1.0.0")
    assert glance.calibrated("m1", "1.0.0")
    path.unlink()
    assert [glance.calibrated("m1", "1.0.0") for _ in range(2)] == [True, False]


def test_a_folder_that_is_not_there_has_no_models(tmp_path: Path) -> None:
    """Before the first registration there is no folder."""
    assert Glance(ModelRegistry(tmp_path / "absent")).production() == {}
