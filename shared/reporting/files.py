"""Writing a report to a folder: the one part of reporting that touches files."""

from pathlib import Path

import msgspec

from shared.reporting.html import render_html, report_name
from shared.snapshot import Snapshot


def write_report(snapshot: Snapshot, folder: Path) -> list[Path]:
    """Write a snapshot as HTML and JSON; each appears whole or not at all. Gives the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "html": render_html(snapshot).encode(),
        "json": msgspec.json.format(msgspec.json.encode(snapshot), indent=2),
    }
    paths = []
    for ending, content in contents.items():
        path = folder / f"{report_name(snapshot)}.{ending}"
        new = path.with_name(f".{path.name}.new")
        new.write_bytes(content)
        new.replace(path)
        paths.append(path)
    return paths
