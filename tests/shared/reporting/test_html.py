import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from itertools import chain

import msgspec
import pytest

from driftgauge.shared.contract.snapshot import (
    CategoryRows,
    FeatureReport,
    Histogram,
    Performance,
    SegmentReport,
    Segments,
    Snapshot,
)
from driftgauge.shared.reporting import render_html, report_name
from driftgauge.shared.reporting.health import PipelineHealth
from driftgauge.shared.wording.numbers import MINUS

EVIL = '"><img src=x onerror=alert(1)><script>alert(1)</script>\u202e</style></title>{{ 7*7 }}'
VOID = {"meta", "link", "wbr"}
replace = msgspec.structs.replace


class Page(HTMLParser):
    """Elements, attributes and the numbers of each table row, and a check that every tag is closed
    in order.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.rows: list[list[float]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "tr":
            self.rows.append([])
        if tag == "data" and "tr" in self._open:
            self.rows[-1].append(float(dict(attrs)["value"] or ""))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile(text: str, snapshot: Snapshot) -> Snapshot:
    def spoil(feature: FeatureReport) -> FeatureReport:
        labels = [text] * len(feature.histogram.labels) if feature.histogram.labels else None
        return replace(
            feature,
            name=text,
            reason=text,
            statistics=[replace(s, name=text, note=text) for s in feature.statistics]
            + [replace(s, value=None, note=text) for s in feature.statistics],
            histogram=replace(feature.histogram, labels=labels) if labels else feature.histogram,
        )

    def spoil_metrics(found: Performance) -> Performance:
        metrics = [replace(one, name=f"{text}:{text}", note=text) for one in found.metrics]
        confusion = replace(found.confusion, classes=[text] * 3) if found.confusion else None
        target = spoil(found.target) if found.target else None
        return replace(
            found,
            reason=text,
            assumption=text,
            metrics=metrics,
            estimated=metrics,
            confusion=confusion,
            target=target,
        )

    def spoil_segment(found: SegmentReport) -> SegmentReport:
        drift = [replace(one, name=text) for one in found.drift]
        metrics = [replace(one, note=text) for one in found.metrics]
        return replace(found, feature=text, value=text, reason=text, drift=drift, metrics=metrics)

    def spoil_segments(found: Segments) -> Segments:
        features = [
            replace(
                one,
                feature=text,
                explanation=text,
                segments=[spoil_segment(of) for of in one.segments],
            )
            for one in found.features
        ]
        return replace(found, features=features)

    alerts = [
        replace(a, fingerprint=text, feature=text, rule=text, summary=text, segment=text)
        for a in snapshot.alerts
    ]
    features = [spoil(feature) for feature in snapshot.features]
    return replace(
        snapshot,
        id=text,
        model=text,
        version=text,
        verdict=text,
        features=features,
        alerts=alerts,
        notes=[text],
        performance=spoil_metrics(snapshot.performance) if snapshot.performance else None,
        segments=spoil_segments(snapshot.segments) if snapshot.segments else None,
        actions=[replace(one, reason=text, alerts=[text]) for one in snapshot.actions],
        levels=[replace(one, rule=text, note=text) for one in snapshot.levels],
    )


@pytest.mark.parametrize(
    "text", [EVIL, EVIL * 200, "'onload=alert(1) x='", "javascript:alert(1)", "\u202e\u0000\ud800"]
)
def test_hostile_text_is_inert(full: Snapshot, health: PipelineHealth, text: str) -> None:
    """Untrusted text in any field is only text: no script, no image, no handler, no link
    out.
    """
    html = render_html(hostile(text, full), health)
    page = Page(html)
    assert page.tags.isdisjoint({"script", "img", "iframe", "object", "base", "form"})
    assert not [
        name for name, _ in page.attributes if name.startswith("on") or name in {"src", "style"}
    ]
    links = {value for name, value in page.attributes if name in {"href", "action", "xlink:href"}}
    assert all(link == "data:," or re.fullmatch(r"#[a-z_]+(-\d+)?", link) for link in links)
    assert "\u202e" not in html
    html.encode()


def test_long_text_is_cut(snapshot: Snapshot) -> None:
    """A name of 10,000 characters costs a few hundred wherever it appears."""
    longest = max(re.findall(r"A+", render_html(hostile("A" * 10_000, snapshot))), key=len)
    assert len(longest) <= 400


def test_nothing_is_fetched_or_run(snapshot: Snapshot) -> None:
    """The page names no other address, and its policy forbids any."""
    html = render_html(snapshot)
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in html
    assert not re.search(r"https?://|url\(|@import", html)


def test_same_snapshot_same_bytes(snapshot: Snapshot) -> None:
    """Rendering is deterministic."""
    assert render_html(snapshot) == render_html(snapshot)


def test_worst_features_first(snapshot: Snapshot) -> None:
    """Features stand in order of severity, then of PSI; excluded ones and the prediction stand
    apart.
    """
    page = render_html(snapshot).replace("<wbr>", "")
    anchors = re.findall(r'<th scope="row"><a href="#([^"]+)"><bdi>(\w+)', page)
    assert anchors == [
        ("feature-1", "temperature"),
        ("feature-2", "load_type"),
        ("feature-3", "hour"),
        ("feature-4", "reactive_power_kvarh"),
        ("feature-5", "lagging_current_power_factor"),
        ("prediction", "energy_kwh"),
    ]


def test_every_anchor_has_its_card(snapshot: Snapshot) -> None:
    """Each link of the table leads to something on the page, and no id is given twice."""
    page = Page(render_html(snapshot))
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {
        value[1:] for name, value in page.attributes if name == "href" and value != "data:,"
    } <= set(ids)


def table_numbers(feature: FeatureReport) -> list[float]:
    by_name = {s.name: s for s in feature.statistics}
    numbers: list[float | None] = []
    if psi := by_name.get("psi"):
        numbers += [psi.value, psi.warning, psi.expected]
    numbers += [by_name[name].value for name in ("ks", "jensen_shannon") if name in by_name]
    for share in feature.shares:
        numbers += (
            [share.reference, share.window] if share.name == "missing" or share.window > 0 else []
        )
    return [number for number in numbers if number is not None]


def card_numbers(feature: FeatureReport) -> list[float]:
    numbers: list[float | None] = [*feature.reference_quantiles, *feature.window_quantiles]
    for s in feature.statistics:
        numbers += (
            [s.value, s.expected, s.p_value, s.warning, s.critical] if s.value is not None else []
        )
    for share in feature.shares:
        numbers += [share.reference, share.window, share.p_value]
    return [number for number in numbers if number is not None]


def test_a_wide_model_has_charts_of_its_worst_features(snapshot: Snapshot) -> None:
    """All features have their row, and the worst sixty their charts: the page of a thousand is no
    file of many MB.
    """
    one = next(one for one in snapshot.features if one.severity == "critical")
    wide = replace(
        snapshot, features=[replace(one, name=f"x{place}") for place in range(150)], alerts=[]
    )
    page = render_html(wide)
    assert len(re.findall(r'<a href="#feature-\d+">', page)) == 60
    assert page.count('<article class="card edge-critical" id="feature-') == 60
    assert all(f"<bdi>x{place}</bdi>" in page for place in range(150))
    assert "The 60 worst of" in page


@pytest.mark.parametrize(
    "name", ["temperature", "load_type", "hour", "reactive_power_kvarh", "energy_kwh"]
)
def test_numbers_are_the_snapshots(snapshot: Snapshot, name: str) -> None:
    """Every number in a feature's row and in its card is exactly the snapshot's."""
    assert snapshot.prediction
    feature = next(f for f in [*snapshot.features, snapshot.prediction] if f.name == name)
    html = render_html(snapshot)
    row = next(part for part in html.split("<tr>") if f"<bdi>{name}</bdi></a>" in part).split(
        "</tr>"
    )[0]
    card = next(part for part in html.split("<article") if f"<h3><bdi>{name}</bdi>" in part).split(
        "</article>"
    )[0]
    assert Page("<table><tr>" + row + "</tr></table>").rows == [table_numbers(feature)]
    assert list(chain.from_iterable(Page("<article" + card + "</article>").rows)) == card_numbers(
        feature
    )


def test_shown_numbers_are_rounded_only(snapshot: Snapshot) -> None:
    """The digits that people read are the exact number's, and bounds hold."""
    for exact, read in re.findall(r'<data value="([^"]+)">([^<]+)<', render_html(snapshot)):
        scale = 100 if "%" in read else 1
        number = float(re.sub(r"[^\d.e-]", "", read.replace("\u2212", "-")))
        if "&lt;" in read:
            assert float(exact) * scale < number
        else:
            assert number == pytest.approx(
                float(exact) * scale, rel=1e-3, abs=6e-4 if scale == 1 else 0.06
            )


def test_undefined_statistics_say_why(snapshot: Snapshot) -> None:
    """A statistic without a value shows its note."""
    assert "the reference has no spread" in Page(render_html(snapshot)).text


def test_header_has_the_window(snapshot: Snapshot) -> None:
    """Verdict, times in UTC, rows, panes, events and reference rows are at the top."""
    top = Page(render_html(snapshot)).text.split("Active alerts")[0]
    for text in (
        "2 of 6 features",
        "2024-05-01 09:30:00 UTC",
        "1,834",
        "182,345",
        "26,280",
        "by an alert",
        "critical",
    ):
        assert text in top


def test_firing_before_pending(snapshot: Snapshot) -> None:
    """Alerts that fire stand above those that are pending."""
    text = Page(render_html(snapshot)).text
    assert text.index("07aa31") < text.index("91be0c")


def test_no_alerts(snapshot: Snapshot) -> None:
    """Without alerts the page says so."""
    assert "No alert is pending or firing." in render_html(replace(snapshot, alerts=[]))


def test_sections_in_order(full: Snapshot, health: PipelineHealth) -> None:
    """What matters first comes first: verdict, what to do, features, prediction, performance,
    segments, pipeline.
    """
    found = re.findall(r"<h2>(.*?)</h2>", render_html(full, health))
    assert found == [
        "What to do",
        "Active alerts",
        "Features",
        "Distributions",
        "Prediction",
        "Performance",
        "Segments",
        "Pipeline",
        "Excluded features",
        "Methods and limits",
    ]
    assert "Pipeline" not in re.findall(r"<h2>(.*?)</h2>", render_html(full))


def test_actions_have_their_evidence(full: Snapshot) -> None:
    """An action names the alerts that it rests on."""
    text = Page(render_html(full)).text.split("What to do")[1].split("Active alerts")[0]
    assert "Look at the feed." in text
    assert "temperature: PSI 0.412 exceeds 0.318" in " ".join(text.split())


def test_performance_beside_its_estimate(full: Snapshot) -> None:
    """Each metric has value, interval, baseline and change; an estimate stands beside it; what is
    undefined says why.
    """
    html = render_html(full)
    part = html.split("<h2>Performance</h2>")[1].split("</section>")[0]
    rows = {
        re.split("<", row.split('<th scope="row">')[1])[0]: row for row in part.split("<tr>")[2:6]
    }
    assert [float(value) for value in re.findall(r'value="(.*?)"', rows["accuracy"])] == [
        0.79,
        0.768,
        0.812,
        0.82,
        -0.037,
        0.803,
        1876,
    ]
    assert 'class="badge critical"' in rows["macro F1"]
    assert "one class alone has labels" in rows["ROC AUC"]
    text = " ".join(Page(html).text.split("Label delay")[1].split("Methods")[0].split())
    for words in ("42 s · 15 min · 2 h", "no concept drift", "Brier score", "91.0 %", "38.5 %"):
        assert words in text, words
    assert "1,876 (83.4 %)" in " ".join(Page(html).text.split())


def test_the_target_is_shown_as_a_feature(full: Snapshot) -> None:
    """The labels' distribution stands within the performance section, with severity and every
    number of a feature's card.
    """
    assert full.performance
    assert full.performance.target
    part = render_html(full).split("<h2>Performance</h2>")[1].split("</section>")[0]
    card = part.split("<article")[1].split("</article>")[0]
    assert "<h3><bdi>label</bdi>" in card
    assert 'class="badge warning"' in card
    assert list(chain.from_iterable(Page("<article" + card + "</article>").rows)) == card_numbers(
        full.performance.target
    )
    assert "PSI 0.21 exceeds 0.131" in card
    assert "78.0 → 64.0\u00a0%" in card


def test_an_alert_names_its_segment(full: Snapshot) -> None:
    """Among the alerts and what to do; the feature's own line and its "since" are of all rows, so
    it is no mark there.
    """
    alert = replace(
        full.alerts[0],
        feature="temperature",
        segment="region=north",
        started=7,
        fingerprint="07aa31",
    )
    html = render_html(replace(full, alerts=[alert]))
    assert html.count("in <bdi>region=north</bdi>") == 2
    assert "flag: an alert began" not in html


def test_the_pipeline_as_it_stands(snapshot: Snapshot, health: PipelineHealth) -> None:
    """What was counted, waits, could not be read and is lost, with the moment at which it was
    looked at.
    """
    text = (
        Page(render_html(snapshot, health).replace("<d", " <d"))
        .text.split("Pipeline")[1]
        .split("Excluded")[0]
    )
    for words in (
        "9,123",
        "800 ms",
        "Dead letters 3",
        "Not arrived yet 7",
        "Lost 2",
        "2024-05-01 10:00:00 UTC",
    ):
        assert words in " ".join(text.split()), words


def test_lines_and_marks(full: Snapshot) -> None:
    """A feature has its line over time with its thresholds and its alert's begin, a Q-Q plot, and
    since when.
    """
    html = render_html(full)
    card = next(
        part for part in html.split("<article") if "<h3><bdi>temperature</bdi>" in part
    ).split("</article>")[0]
    for piece in (
        'class="limit warning"',
        'class="limit critical"',
        'class="mark critical"',
        'class="diagonal"',
    ):
        assert card.count(piece) == 1, piece
    assert "Values changed (PSI) firing, since 2024-05-01 10:00:00 UTC" in card
    row = next(part for part in html.split("<tr>") if "<bdi>temperature</bdi></a>" in part).split(
        "</tr>"
    )[0]
    assert 'class="spark"' in row
    assert "2024-05-01 10:00" in row


def test_new_and_vanished_categories(snapshot: Snapshot) -> None:
    """Categories that should be there and are not are named, with their number; new ones with their
    share.
    """
    feature = next(one for one in snapshot.features if one.name == "load_type")
    gone = replace(feature, histogram=replace(feature.histogram, window=[0.0, 0.7, 0.28, 0.02]))
    named = replace(
        gone,
        vanished=[CategoryRows("night load", 12.0)],
        appeared=[CategoryRows("<b>a new load", 17.0)],
    )
    text = " ".join(Page(render_html(replace(snapshot, features=[gone]))).text.split())
    assert "Vanished: light load (about 945 rows expected)." in text
    assert "New: 2.0 % of rows" in text
    text = " ".join(Page(render_html(replace(snapshot, features=[named]))).text.split())
    assert "night load (about 12 rows expected)" in text
    assert "has not: <b>a new load (17 rows)." in text


def test_what_lies_outside_is_drawn_beside_the_bins(full: Snapshot) -> None:
    """Rows below and above the bins have a bar of their own at either end, with their shares."""
    html = render_html(full)
    assert "below 10: reference 0.5\u00a0%, window 5.0\u00a0%" in html
    assert html.count(">&lt;</text>") == html.count(">&gt;</text>") > 0


def test_bare_snapshot(snapshot: Snapshot) -> None:
    """A snapshot without features, prediction and alerts is a whole page."""
    page = Page(render_html(replace(snapshot, features=[], prediction=None, alerts=[])))
    assert "The snapshot has no features." in page.text
    assert "Excluded features" not in page.text


def test_excluded_features_give_their_reason(snapshot: Snapshot) -> None:
    """Excluded features are named with the reason."""
    assert (
        "a function of the clock" in Page(render_html(snapshot)).text.split("Excluded features")[1]
    )


def test_pictures_are_well_formed(snapshot: Snapshot) -> None:
    """Every picture on the page parses as XML."""
    pictures = re.findall(r"<svg.*?</svg>", render_html(hostile(EVIL, snapshot)), re.DOTALL)
    assert len(pictures) > 20
    for picture in pictures:
        ET.fromstring(picture)  # noqa: S314 (our own output)


def test_size_of_a_full_report(snapshot: Snapshot) -> None:
    """Eighteen features with 24 bins each stay below 500 KB."""
    bins = Histogram(
        edges=[float(i) for i in range(25)],
        labels=None,
        reference=[1 / 24] * 24,
        window=[1 / 24] * 24,
    )
    feature = replace(snapshot.features[-1], histogram=bins)
    assert len(render_html(replace(snapshot, features=[feature] * 18)).encode()) < 500_000


def test_name_of_the_report(snapshot: Snapshot) -> None:
    """The file name is the snapshot's own time in UTC, to the second."""
    assert report_name(snapshot) == "drift_report_20240501_100000"
    assert (
        report_name(replace(snapshot, created=snapshot.created + 999))
        == "drift_report_20240501_100000"
    )


def test_the_confusion_matrix_shows_what_its_cells_are_worth(full: Snapshot) -> None:
    """Below each count that has a value stands what it adds, in its unit; without values there is
    nothing of it.
    """
    performance = full.performance
    assert performance is not None
    assert performance.confusion is not None
    assert "adds to the value" not in render_html(full)
    amounts = [[7034.0, -1039.1, None], [-83667.2, 0.0, None], [None] * 3]
    confusion = replace(performance.confusion, amounts=amounts, unit="EUR")
    html = render_html(replace(full, performance=replace(performance, confusion=confusion)))
    part = html.split('<table class="confusion">')[1].split("</table>")[0]
    shown = [re.sub(r"<[^>]*>", "", one) for one in re.findall(r"<small>(.*?)</small>", part)]
    wanted = ["+7,034", f"{MINUS}1,039", f"{MINUS}83,667", "0"]
    assert [one.split() for one in shown] == [[one, "EUR"] for one in wanted]
    assert "Below each count is what it adds to the value of 1,000 predictions." in html
