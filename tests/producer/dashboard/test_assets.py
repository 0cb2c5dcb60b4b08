import hashlib
import json

import httpx
import pytest

from driftgauge.producer.app import create_app
from driftgauge.producer.dashboard.assets import FOLDER, KEPT, asset_path
from driftgauge.shared.settings import Settings
from tests.producer.conftest import running

VENDOR = FOLDER / "vendor"


def manifest() -> list[dict[str, object]]:
    read: list[dict[str, object]] = json.loads((VENDOR / "manifest.json").read_text())
    return read


def test_the_vendored_files_are_as_they_were_published() -> None:
    """Each file of others has the checksum that it came with, none is unlisted, and each library
    brings its licence.
    """
    listed: dict[str, str] = {}
    for library in manifest():
        assert set(library) == {"name", "version", "licence", "files"}
        files = library["files"]
        assert isinstance(files, dict)
        assert any(name.endswith("/LICENSE") for name in files), library["name"]
        listed |= files
    found = {
        path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    assert found == listed


def test_our_files_ask_no_other_host() -> None:
    """Style and modules of our own name no address but relative ones."""
    for path in FOLDER.iterdir():
        if path.suffix in {".js", ".css"}:
            text = path.read_text()
            assert "http://" not in text, path
            assert "https://" not in text, path


@pytest.mark.anyio
async def test_files_are_kept_by_the_browser_and_lead_nowhere_else(settings: Settings) -> None:
    """A file of this release may be kept for ever, one of another is asked for again; a path out of
    the folder is 404.
    """
    async with running(create_app(settings)) as http:
        style = await http.get(asset_path("dashboard.css"))
        assert (style.status_code, style.headers["cache-control"]) == (200, KEPT)
        assert style.headers["content-type"].startswith("text/css")
        assert (await http.get(asset_path("live.js"))).headers["content-type"].split(";")[0] in (
            "text/javascript",
            "application/javascript",
        )
        assert (await http.get("/static/older/dashboard.css")).headers[
            "cache-control"
        ] == "no-cache"
        for path in (
            "no.css",
            "%2e%2e/rendering.py",
            "..%2Frendering.py",
            "vendor",
            "%2Fetc/passwd",
        ):
            answer = await http.get(httpx.URL("http://localhost/static/x/" + path))
            assert answer.status_code == 404, path
