"""Reports in a folder: the one part of reporting that touches files.

A report is two files, the JSON written last: where it stands, the report is whole. Each appears
whole or not at all, and a snapshot has one report however often it is written: its id, in the JSON,
is looked at before a name is taken.
"""

import re
import time
from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Final

import msgspec

from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.errors import ConfigurationError
from driftgauge.shared.reporting.health import PipelineHealth
from driftgauge.shared.reporting.html import render_html, report_name
from driftgauge.shared.reporting.png import write_png
from driftgauge.shared.storage.atomic import replace

NAME: Final = re.compile(r"drift_report_\d{8}_\d{6}(_\d+)?")
DAY_S: Final = 86_400
MEGABYTE: Final = 1_000_000


class _Named(msgspec.Struct):
    id: str


def write_report(
    snapshot: Snapshot, folder: Path, health: PipelineHealth | None = None
) -> list[Path]:
    """Write a snapshot as HTML and JSON, and return the paths.

    Snapshots of the same second (of two versions) have the same name: the later ones get `_2`,
    `_3`, … behind it.

    Raises
    ------
    ConfigurationError
        If the folder cannot be written.
    """
    contents = {
        "html": render_html(snapshot, health).encode(),
        "json": msgspec.json.format(msgspec.json.encode(snapshot), indent=2),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        name = _free_name(folder, snapshot)
        paths = [folder / f"{name}.{ending}" for ending in contents]
        for path, content in zip(paths, contents.values(), strict=True):
            replace(path, content)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return paths


def write_picture(snapshot: Snapshot, path: Path) -> Path:
    """Draw a snapshot to a PNG file, and return its path.

    Raises
    ------
    ConfigurationError
        If the file cannot be written, or matplotlib is not installed.
    """
    picture = BytesIO()
    write_png(snapshot, picture)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, picture.getvalue())
    except OSError as error:
        raise _unwritable(path.parent, error) from error
    return path


def written(snapshot: Snapshot, folder: Path) -> list[Path]:
    """Return the paths of a snapshot's report; none if it is not written yet."""
    name = _free_name(folder, snapshot)
    paths = [folder / f"{name}.{ending}" for ending in ("html", "json")]
    return paths if paths[1].exists() else []


def remove_old(folder: Path, kept: int, days: float, megabytes: float) -> int:
    """Remove reports beyond the `kept` latest ones, those written longer ago than `days`, and the
    oldest ones if all take more than `megabytes`; the latest one stays. Return how many.

    Raises
    ------
    ConfigurationError
        If the folder cannot be written.
    """
    try:
        found = sorted(_sized(folder), reverse=True)
        oldest, room = time.time() - days * DAY_S, megabytes * MEGABYTE
        old = []
        for place, (written, name, size) in enumerate(found):
            room -= size
            if place >= kept or written < oldest or (place and room < 0):
                old.append(name)
        _remove(folder, old)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return len(old)


def _sized(folder: Path) -> Iterator[tuple[float, str, int]]:
    """Yield when each report was written, its name, and the bytes of its two files."""
    for path in folder.glob("drift_report_*.json"):
        if NAME.fullmatch(path.stem):
            data, page = path.stat(), path.with_suffix(".html")
            size = page.stat().st_size if page.exists() else 0
            yield data.st_mtime, path.stem, data.st_size + size


def _remove(folder: Path, names: Iterable[str]) -> None:
    """Remove reports; their JSON goes first, so that none is half there."""
    for name in names:
        for ending in ("json", "html"):
            (folder / f"{name}.{ending}").unlink(missing_ok=True)


def _free_name(folder: Path, snapshot: Snapshot) -> str:
    """Return the name that the snapshot has already, or the first that no other one has."""
    plain = report_name(snapshot)
    names = (plain if number == 1 else f"{plain}_{number}" for number in count(1))
    return next(name for name in names if _id_of(folder / f"{name}.json") in {None, snapshot.id})


def _id_of(path: Path) -> str | None:
    """Return the id of a report's snapshot; None if there is no report, and the empty text if it is
    none of ours.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Named).id
    except FileNotFoundError:
        return None
    except ValueError:  # written by hand: its name is taken
        return ""


def _unwritable(folder: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"Reports cannot be written to {folder}: {error.strerror or error}. Make room there, or "
        f"set DRIFTGAUGE_REPORTS_DIR; "
        "the snapshots wait in Redis."
    )
