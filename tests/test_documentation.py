"""The pages of the repository: their links lead somewhere, what they name is there, and what users
meet is explained.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.making import filling, site, structs
from docs.making.prose import Undocumented, described, meant
from docs.making.routes import made_app, pages
from docs.making.settings import groups, meanings, variable
from driftgauge.consumer.metrics.table import WORKER
from driftgauge.producer.metrics.table import EVERY
from driftgauge.shared.settings import Settings
from tests.places import ROOT

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "models").glob("*/README.md")),
]
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
SETTING = re.compile(r"(?<!\w)DRIFTGAUGE_[A-Z_]*[A-Z]")
ROUTE = re.compile(r"`(GET|POST) (/[^`?\s]*)[^`]*`")
METRIC = re.compile(r"(?<![\w/])driftgauge_[a-z_]*[a-z]")
HOOK = {
    f"DRIFTGAUGE_{hook}_{what}" for hook in ("RETRAIN", "ROLLBACK") for what in ("ID", "ATTEMPT")
}
"""What a hook is told by its environment; no settings."""
README_LINES = 130


def anchors(page: str) -> set[str]:
    """Return the places of a page, as Markdown's readers name its headings."""
    titles = (re.sub(r"[`*]|\]\([^)]*\)|\[", "", title) for title in HEADING.findall(page))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def dead(path: Path) -> Iterator[str]:
    """Yield the links of a page that lead nowhere; other hosts are not asked."""
    for link in LINK.findall(CODE.sub("", path.read_text())):
        if re.match(r"https?:", link):
            continue
        file, _, place = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists():
            yield f"{path.relative_to(ROOT)}: {link}"
        elif place and target.suffix == ".md" and place not in anchors(target.read_text()):
            yield f"{path.relative_to(ROOT)}: {link} (no such heading)"


def test_every_link_leads_somewhere() -> None:
    """Whoever follows a link of the README or of a page comes to a file, and to a heading of it."""
    assert [link for path in PAGES for link in dead(path)] == []


def test_a_dead_link_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: for a file and for a heading."""
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("# A heading\n[a](#a-heading) [b](#b) [c](gone.md) `[d](gone.md)`\n")
    assert len(list(dead(page))) == 2


def test_the_readme_is_short() -> None:
    """A newcomer reads all of it; what is long stands in docs/."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LINES


def test_every_page_is_in_the_contents() -> None:
    """Each page of docs/ is linked by the README, so that it is found without the site too."""
    readme = (ROOT / "README.md").read_text()
    names = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")]
    assert [name for name in names if name != "docs/index.md" and f"({name})" not in readme] == []


def test_every_setting_that_is_named_is_one() -> None:
    """A page or a message names no setting that was renamed."""
    known = {variable(name) for name in Settings.model_fields} | HOOK
    files = [*PAGES, *(path for part in PARTS for path in sorted((ROOT / part).rglob("*.py")))]
    named = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in files
        for name in SETTING.findall(path.read_text())
    }
    assert {one for one in named if one[1] not in known} == set()


PARTS = ("consumer", "models", "producer", "shared")


def test_every_route_that_is_named_is_one() -> None:
    """A page tells of no route that the API does not have."""
    app = made_app()
    known = [
        *(
            f"{method.upper()} {path}"
            for path, methods in app.openapi()["paths"].items()
            for method in methods
        ),
        *(name for name, _ in pages(app)),
    ]
    patterns = [
        re.compile(re.sub(r"\\\{\w+(:path)?\\\}", "[^/ ]+", re.escape(one))) for one in known
    ]
    unknown = {
        (path.name, f"{method} {route}")
        for path in PAGES
        for method, route in ROUTE.findall(path.read_text())
        if not any(one.fullmatch(f"{method} {route}") for one in patterns)
    }
    assert unknown == set()


def test_every_metric_that_is_named_is_one() -> None:
    """A page tells of no metric that neither the API nor a worker has."""
    named = {name for path in PAGES for name in METRIC.findall(path.read_text())}
    known = {**EVERY, **WORKER}
    assert {name for name in named if name not in known} == set()


def test_every_setting_is_explained_in_a_group() -> None:
    """The page of the settings has each of them once, with its meaning."""
    found = [name for names in groups().values() for name in names]
    assert found == list(Settings.model_fields)
    assert meanings().keys() == Settings.model_fields.keys()


@pytest.mark.parametrize("name", filling.MADE)
def test_what_the_site_needs_can_be_made(name: str) -> None:
    """Each setting, command, option, route, metric, event type, field and name of the library is
    explained, or its page cannot be made.
    """
    assert len(filling.MADE[name]()) > 500
    places = [found for path in PAGES for found in filling.PLACE.findall(path.read_text())]
    assert places.count(name) == 1
    assert set(places) == filling.MADE.keys()


def test_a_gap_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: what has no word of explanation is named, and so is an event's type that
    nobody explains.
    """
    with pytest.raises(Undocumented, match="DRIFTGAUGE_X"):
        meant(" ", "DRIFTGAUGE_X")
    with pytest.raises(Undocumented, match="driftgauge"):
        described(None, "driftgauge.x")
    monkeypatch.delitem(structs.CHANGES, "driftgauge.alert.firing")  # type: ignore[arg-type]
    with pytest.raises(Undocumented, match=r"driftgauge\.alert\.firing"):
        structs.event_types()


SOUND = '<h1 id="a">Title</h1><a href="#a">here</a><a href="b.html#b">b</a><img src="i.png">'


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ("", ""),
        ('<a href="gone.html">x</a>', "gone.html leads nowhere"),
        ('<a href="b.html#z">x</a>', "b.html#z names no place"),
        ('<a href="https://example.org/">x</a>', ""),
        ('<script src="https://example.org/x.js"></script>', "loads https://example.org/x.js"),
        ('<link href="//example.org/x.css" rel="stylesheet">', "loads //example.org/x.css"),
    ],
)
def test_a_fault_of_the_site_is_seen(tmp_path: Path, more: str, fault: str) -> None:
    """A dead link, and a file of another host, are faults of the built site; a link to another host
    is none.
    """
    (tmp_path / "a.html").write_text(SOUND + more)
    (tmp_path / "b.html").write_text('<p id="b">text</p>')
    (tmp_path / "i.png").touch()
    (tmp_path / "x.css").write_text("a { background: url('i.png') }")
    found = site.read(tmp_path)
    faults = [*site.dead_links(found), *site.foreign(tmp_path, found)]
    assert [one for one in faults if fault not in one] == []
    assert bool(faults) == bool(fault)


def test_a_style_of_another_host_is_seen(tmp_path: Path) -> None:
    """A font that a style sheet fetches is a request too."""
    (tmp_path / "x.css").write_text("@font-face { src: url(https://example.org/a.woff2) }")
    assert len(list(site.foreign(tmp_path, {}))) == 1
