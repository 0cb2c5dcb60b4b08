"""What a command is given as files: paths, `-` for standard input, `s3://BUCKET/KEY`, and
`s3://BUCKET/FOLDER/` for all objects below.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from driftgauge.shared.errors import BadData
from driftgauge.shared.extras import needs

STDIN: Final = "-"
OBJECT: Final = "s3://"


@contextmanager
def local_files(places: Sequence[str]) -> Iterator[list[Path]]:
    """Return files on this machine: what comes from elsewhere is copied, and removed at the end.

    Raises
    ------
    BadData
        If an object cannot be read, there is none below a folder, or standard input is named twice.
    NotInstalled
        If object storage is named, and its package is absent.
    """
    if places.count(STDIN) > 1:
        raise BadData("Standard input (-) can be read once only.")
    with tempfile.TemporaryDirectory(prefix="driftgauge-") as folder:
        found: list[Path] = []
        for number, place in enumerate(places):
            if place == STDIN:
                found.append(_stdin(Path(folder) / "stdin"))
            elif place.startswith(OBJECT):
                found += _objects(place, Path(folder) / str(number))
            else:
                found.append(Path(place))
        yield found


def _stdin(path: Path) -> Path:
    with path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return path


def _objects(place: str, folder: Path) -> Iterator[Path]:
    """Copy an object, or all below a folder in the order of their keys."""
    with needs("s3"):
        import obstore
        from obstore.store import S3Store

    from driftgauge.shared.storage.answers import CLIENT

    bucket, _, key = place.removeprefix(OBJECT).partition("/")
    try:
        store: Any = S3Store(bucket, client_options=CLIENT)
        keys = [key]
        if not key or key.endswith("/"):
            listed = obstore.list(store, key.rstrip("/") or None)
            keys = sorted(one["path"] for page in listed for one in page)
        if not keys:
            raise BadData(f"There is no object below {place}.")
        for each in keys:
            path = folder / each
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                for chunk in obstore.get(store, each).stream():
                    file.write(chunk)
            yield path
    except (obstore.exceptions.BaseError, FileNotFoundError) as error:
        said = str(error).strip().partition("\n")[0]
        raise BadData(f"{place} cannot be read: {said}. Nothing was posted.") from error
