"""What a command is given as files."""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from driftgauge.shared.errors import BadData
from driftgauge.shared.storage.places import local_files
from tests.shared.storage.bucket import bucket

if not os.environ.get("CI"):
    for package in ("moto", "obstore"):
        pytest.importorskip(package, reason=f"no {package}: pip install -e '.[test]'")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A bucket with three objects below a folder."""
    import obstore
    from obstore.store import S3Store

    with bucket() as address:
        store: Any = S3Store.from_url(address, client_options={"allow_http": True})
        for name in ("b", "a", "deeper/c"):
            obstore.put(store, f"rows/{name}.csv", f"x\n{name}\n".encode())
        yield address


def test_files_come_from_anywhere(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths, standard input, an object, and all objects below a folder in the order of their keys;
    what was copied is gone at the end.
    """
    stdin = SimpleNamespace(buffer=io.BytesIO(b"x\nstdin\n"))
    monkeypatch.setattr("sys.stdin", stdin)
    (tmp_path / "here.csv").write_text("x\nhere\n")
    given = [str(tmp_path / "here.csv"), "-", f"{url}/rows/b.csv", f"{url}/rows/"]
    with local_files(given) as paths:
        found = [path.read_text().split()[1] for path in paths]
        assert found == ["here", "stdin", "b", "a", "b", "deeper/c"]
    assert [path.exists() for path in paths] == [True, False, False, False, False, False]


def test_what_is_not_there_is_said(url: str) -> None:
    """An object, a folder, a bucket; and standard input named twice."""
    for place, told in (
        (f"{url}/rows/z.csv", r"z\.csv cannot be read"),
        (f"{url}/nothing/", "no object below"),
        ("s3://another/x", "cannot be read"),
    ):
        with pytest.raises(BadData, match=told), local_files([place]):
            pass
    with pytest.raises(BadData, match="once only"), local_files(["-", "-"]):
        pass
