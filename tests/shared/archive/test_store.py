"""A folder and object storage keep files alike."""

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from driftgauge.shared.archive.store import FolderStore, ObjectStore, Store, open_store
from driftgauge.shared.errors import ConfigurationError
from tests.shared.storage.bucket import bucket

if not os.environ.get("CI"):
    pytest.importorskip("moto", reason="no moto: pip install -e '.[test]'")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with bucket() as found:
        yield found


@pytest.fixture(params=["folder", "file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, url: str) -> Store:
    places = {
        "folder": str(tmp_path / "a b"),
        "file": f"file://{tmp_path}/a%20b",
        "s3": f"{url}/{tmp_path.name}",
    }
    return open_store(places[request.param])


def test_a_file_is_written_once(store: Store) -> None:
    """Who comes later leaves the first content as it is, and leaves nothing else behind."""
    assert store.create("d/x", b"first")
    assert not store.create("d/x", b"second")
    with store.open("d/x") as file:
        assert bytes(file.read()) == b"first"
    assert list(store.find("d")) == ["d/x"]
    store.remove("d/x")
    store.remove("d/x")
    assert list(store.find("d")) == []
    with pytest.raises(FileNotFoundError):
        store.read("d/x")


def test_a_retired_file_is_there_for_us_alone(store: Store) -> None:
    """It is read, named and removed as before, and its name is none that tools read; a file that is
    not there is not retired.
    """
    store.create("x/a.parquet", b"rows")
    with store.open("x/a.parquet") as begun:
        store.retire("x/a.parquet")
        store.retire("x/a.parquet")
        assert begun.read() == b"rows"
    assert list(store.find("x")) == ["x/a.parquet"]
    with store.open("x/a.parquet") as opened:
        assert opened.read() == b"rows"
    assert store.create("x/a.parquet", b"new")
    with store.open("x/a.parquet") as opened:
        assert opened.read() == b"new"
    store.remove("x/a.parquet")
    assert list(store.find("x")) == []
    with pytest.raises(FileNotFoundError):
        store.open("x/a.parquet")


def test_a_file_system_without_links_is_an_archive_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as those of some containers: a file gets its name by a rename."""

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    store = FolderStore(tmp_path)
    assert store.create("d/x", b"first")
    assert not store.create("d/x", b"second")
    assert store.read("d/x") == b"first"
    assert list(store.find("d")) == ["d/x"]


def test_changes_at_the_same_time_are_all_there(store: Store) -> None:
    """Each change is of the content that another one left."""

    def add(content: bytes | None) -> bytes:
        return (content or b"") + b"x"

    threads = [threading.Thread(target=store.change, args=("m", add)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read("m") == b"xxxx"


def test_each_address_has_its_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buckets of Google and Azure are opened by the same name as a folder; what is no address is
    refused, and told.
    """
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
    assert isinstance(open_store("gs://bucket/archive"), ObjectStore)
    assert isinstance(open_store("az://container/archive"), ObjectStore)
    assert isinstance(open_store("archive"), FolderStore)
    for wrong in ("ftp://host/x", "file://host/x", "s3://"):
        with pytest.raises(ConfigurationError, match="An archive cannot be at"):
            open_store(wrong)
