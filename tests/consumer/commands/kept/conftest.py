"""What the commands on the archive are tried on."""

from pathlib import Path

import pytest

from tests.consumer.offline.archived.rivals import rivals


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a registry of two versions and an archive of the first one's rows."""
    found = tmp_path_factory.mktemp("plant")
    rivals(found)
    return found


@pytest.fixture
def rivalry(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set registry and archive to those of `folder`."""
    monkeypatch.setenv("DRIFTGAUGE_REGISTRY_DIR", str(folder / "registry"))
    monkeypatch.setenv("DRIFTGAUGE_ARCHIVE_URL", str(folder / "archive"))
