import re
from itertools import chain, pairwise
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.shared.contract.snapshot import (
    MetricReport,
    SegmentFeature,
    SegmentReport,
    Segments,
    Snapshot,
)
from driftgauge.shared.reporting import render_html
from driftgauge.shared.reporting.segmented import (
    MOST_SHOWN,
    WORST_FIRST,
    diverging,
    segment_tables,
    sentence_of,
    worst_segments,
)
from tests.shared.reporting.segmented import (
    calm,
    metric,
    numeric,
    region,
    segment,
    segments,
    treated,
)
from tests.shared.reporting.test_html import Page

replace = msgspec.structs.replace
NUMBERS = st.none() | st.floats(-1e9, 1e9) | st.sampled_from([0.0, 1e-300, 1e308])


def shown(snapshot: Snapshot, found: Segments | None) -> str:
    """The section of the page."""
    html = render_html(replace(snapshot, segments=found))
    return html.split("<h2>Segments</h2>")[1].split("</section>")[0]


def rows(html: str) -> list[str]:
    return re.findall(r'<tr><th scope="row">.*?</tr>', html, re.DOTALL)


def drawn(markup: str) -> list[ET.Element]:
    return list(ET.fromstring(markup or "<svg/>").iter())  # noqa: S314 (our own output)


@st.composite
def reports(draw: st.DrawFn) -> SegmentReport:
    numbers: dict[str, Any] = {name: draw(NUMBERS) for name in ("value", "low", "high", "baseline")}
    found = MetricReport("accuracy", n=9, bound=0.0, **numbers)
    return segment(
        severity=draw(st.sampled_from(WORST_FIRST)),
        rows=draw(st.integers(0, 10**12)),
        contribution=draw(NUMBERS),
        metrics=draw(st.sampled_from([[], [found]])),
    )


@given(st.lists(reports(), max_size=21))
def test_the_worst_come_first_and_none_is_lost(found: list[SegmentReport]) -> None:
    """Every segment is there once: by severity, then by its part of the change, then by rows;
    pictures stay inside.
    """
    (table,) = segment_tables(Segments("accuracy", 0.5, 0.6, [SegmentFeature("region", found)]))
    ordered = [row.segment for row in (*table.shown, *table.folded)]
    assert sorted(map(id, ordered)) == sorted(map(id, found))
    for one, following in pairwise(ordered):
        places = [WORST_FIRST.index(each.severity) for each in (one, following)]
        assert places[0] <= places[1]
        if places[0] == places[1]:
            sizes = [abs(each.contribution or 0.0) for each in (one, following)]
            assert sizes[0] > sizes[1] or (sizes[0] == sizes[1] and one.rows >= following.rows)
    assert len(table.shown) <= MOST_SHOWN + 2
    for row in (*table.shown, *table.folded):
        for part in drawn(row.bar):
            if part.tag.endswith("rect"):
                assert (
                    0
                    <= float(part.attrib["x"])
                    <= float(part.attrib["x"]) + float(part.attrib["width"])
                    <= 96.01
                )
        for part in drawn(row.interval):
            assert all(
                0 <= float(x) <= 72 for x in re.findall(r"[MH]([-\d.e+]+)", part.get("d", ""))
            )


def test_what_matters_is_shown_and_the_rest_is_folded(snapshot: Snapshot) -> None:
    """Of 63 segments 8 are open, of the one feature that has something to say; the folds say how
    many of what they hold.
    """
    html = shown(snapshot, segments())
    folds = re.findall(r"<details.*?</details>", html, re.DOTALL)
    assert len(rows(html)) == 63
    assert len(rows(html)) - sum(len(rows(fold)) for fold in folds) == MOST_SHOWN
    assert re.findall(r"<summary>(.*?)</summary>", html) == [
        "13 more segments: 10 OK, 3 too few rows",
        "All 21 segments: 21 OK",
        "All 21 segments: 21 OK",
    ]
    assert html.index("By <bdi>region") < html.index("By <bdi>device"), "the worst feature first"


def test_the_explanation_is_read_before_the_numbers(snapshot: Snapshot) -> None:
    """Each feature begins with its sentence, and without one the page says that nothing stands
    out.
    """
    found = re.findall(
        r'<p class="explanation"><bdi[^>]*>(.*?)</bdi></p>\n<(\w+)', shown(snapshot, segments())
    )
    assert [tag for _, tag in found] == ["table", "details", "details"]
    assert found[0][0] == region().explanation
    assert found[1][0] == "No segment of device stands out."


def test_numbers_are_the_segments(snapshot: Snapshot) -> None:
    """A row holds exactly its segment's shares, rows, metric, baseline, labels, contribution and
    PSI with its threshold.
    """
    html = shown(snapshot, segments())
    row = next(row for row in rows(html) if "<bdi>area 04</bdi>" in row and "critical" in row)
    (numbers,) = Page(f"<table>{row}</table>").rows
    assert numbers == [0.11, 0.31, 1412, 0.61, 0.85, 812, -0.0312, 0.61, 0.3, 0.4, 0.3, 0.1]
    for words in (
        "accuracy 0.61, baseline 0.85",
        'class="interval"',
        'class="diverging"',
        'class="critical" x=',
    ):
        assert words in row
    assert "<small>above" in row


def test_a_table_is_read_aloud(snapshot: Snapshot) -> None:
    """Each column and each row has a header, severities are words, and every drawing has its number
    beside it.
    """
    html = shown(snapshot, segments())
    for head in re.findall(r"<thead>(.*?)</thead>", html, re.DOTALL):
        assert len(re.findall(r'<th scope="col"', head)) == len(re.findall("<th", head)) == 6
    assert all(row.count("<td") == 5 for row in rows(html))
    assert (
        re.findall(r"</svg>(critical|warning|too few rows)<", html)
        == ["critical", "warning"] + ["too few rows"] * 3
    )
    assert html.count('aria-hidden="true"') == html.count("<svg")


def test_worse_is_left_of_accuracy_and_right_of_errors(snapshot: Snapshot) -> None:
    """A bar's side is its sign, and its colour says whether that is for the worse: less accuracy,
    more error.
    """
    fell, rose = diverging(-0.01, 0.02, worse=True), diverging(0.01, 0.02, worse=True)
    assert 'x="24"' in fell
    assert 'x="48"' in rose
    html = shown(snapshot, numeric())
    bars = {
        re.findall("<bdi>(.)</bdi>", row)[0]: re.findall(r'<rect class="(\w+)"', row)
        for row in rows(html)
    }
    assert (bars["A"], bars["C"]) == (["ok"], ["critical"])
    assert "bars to the right of the line are for the worse" in html
    assert "bars to the left of the line are for the worse" in shown(snapshot, segments())


def test_the_parts_add_up(snapshot: Snapshot) -> None:
    """The change that is parted and what the mix of the segments has of it are said."""
    text = " ".join(Page(shown(snapshot, segments())).text.split())
    assert "accuracy 0.815, baseline 0.850, a change of \u22120.035." in text
    assert (
        "The parts of all segments and \u22120.004 from other shares of the segments add up to "
        "\u22120.035." in text
    )


def test_intervals_share_a_scale() -> None:
    """The baseline of all segments of a feature stands at one place, and an interval of nine rows
    squeezes no other.
    """
    (table,) = segment_tables(Segments("accuracy", 0.8, 0.85, [region()]))
    pictures = [row.interval for row in (*table.shown, *table.folded) if row.interval]
    assert len({re.findall(r'class="tick" d="M([\d.]+)', picture)[0] for picture in pictures}) == 1
    widths = [
        b - a
        for a, b in (
            map(float, re.findall(r'"range" d="M([\d.]+) 7H([\d.]+)', one)[0]) for one in pictures
        )
    ]
    assert min(widths) > 2


@pytest.mark.parametrize(
    ("found", "words", "absent"),
    [
        (Segments("", None, None, []), "No segment has been counted yet.", "<table"),
        (
            Segments("", None, None, [SegmentFeature("region", [])]),
            "No segment of region has been counted yet.",
            "<table",
        ),
        (
            Segments(
                "",
                None,
                None,
                [SegmentFeature("region", [segment(metrics=[], contribution=None, labelled=0)])],
            ),
            "There are no labels",
            "Part of the change",
        ),
        (
            Segments(
                "accuracy",
                0.8,
                None,
                [SegmentFeature("region", [segment(metrics=[metric(0.8, 9, None)])])],
            ),
            "without a baseline no change is parted",
            "Part of the change",
        ),
        (
            Segments(
                "accuracy",
                0.8,
                0.8,
                [SegmentFeature("region", [segment(severity="insufficient_data", drift=[])])],
            ),
            "No segment of region has rows enough to be judged.",
            "stands out",
        ),
    ],
)
def test_what_is_not_there_is_said(
    snapshot: Snapshot, found: Segments, words: str, absent: str
) -> None:
    """Without segments, rows, labels or baseline the section says so in words, and has no column of
    nothing.
    """
    html = shown(snapshot, found)
    assert words in " ".join(Page(html).text.split())
    assert absent not in html


def test_no_segments_no_section(snapshot: Snapshot) -> None:
    """A version whose schema names none has no such section."""
    assert "Segments</h2>" not in render_html(snapshot)


def test_other_and_the_empty_value_are_named(snapshot: Snapshot) -> None:
    """The rest says that it is the rest, and a value without a letter is not an empty cell."""
    html = shown(snapshot, segments())
    assert html.count("<small>all other values</small>") == 2
    assert html.count("(empty)") == 2
    real = SegmentFeature("region", [segment(value="OTHER"), segment(value="north")])
    assert "all other values" not in shown(snapshot, Segments("", None, None, [real]))


def test_the_worst_of_all_features() -> None:
    """Those that are critical or a warning, of whatever feature, and no more than asked for."""
    assert [one.value for one in worst_segments(segments(), 5)] == ["area 04", "area 02"]
    assert worst_segments(segments(), 1)[0].severity == "critical"
    assert worst_segments(Segments("", None, None, [calm()]), 5) == []
    assert (
        sentence_of(replace(region(), explanation=""))
        == "Segments of region: 1 critical, 1 warning."
    )


def test_segments_have_their_place_in_the_size_of_a_report(snapshot: Snapshot) -> None:
    """63 segments with long names add less than 300 kB."""
    long = [
        replace(
            one,
            segments=[
                replace(of, value=f"{at} {'<' * 1000}") for at, of in enumerate(one.segments)
            ],
        )
        for one in segments().features
    ]
    both = (None, replace(segments(), features=long))
    sizes = [len(render_html(replace(snapshot, segments=found)).encode()) for found in both]
    assert sizes[1] - sizes[0] < 300_000
    assert len(list(chain.from_iterable(one.segments for one in long))) == 63


def test_fairness_is_open_where_a_policy_limits_it(snapshot: Snapshot) -> None:
    """A measure beyond its limit makes its feature critical and is named first; its row has value,
    interval, reference, limits and the two groups, and each group its rates. Without a limit all of
    it is folded, and nothing stands out.
    """
    (table,) = segment_tables(Segments("", None, None, [treated()], outcome="yes"))
    assert (table.severity, table.sentence) == (
        "critical",
        "sex: its values are not treated as alike as the policy asks for.",
    )
    html = shown(snapshot, Segments("", None, None, [treated()], outcome="yes"))
    part = html.split('id="fairness-0" open>')[1]
    assert "Fairness, of “yes”: selection-rate ratio 0.620" in part
    row, odds, *groups = (re.sub("<[^>]*>", "", each) for each in rows(part))
    for told in ("0.620", "0.541", "0.706", "0.980", "warning 0.9", "critical 0.8"):
        assert told in row
    assert "selection rate 31.0\xa0% of f, 50.0\xa0% of m" in row
    assert "fewer than two groups" in odds
    assert [re.findall(r"[\d.]+\xa0%", group) for group in groups] == [
        ["50.0\xa0%", "50.0\xa0%", "90.0\xa0%", "90.0\xa0%"],
        ["31.0\xa0%", "50.0\xa0%", "75.0\xa0%", "90.0\xa0%"],
        ["100\xa0%", "50.0\xa0%", "90.0\xa0%"],
    ]
    folded = shown(snapshot, Segments("", None, None, [treated(limited=False)], outcome="yes"))
    assert 'id="fairness-0">' in folded
    assert "No segment of sex stands out." in folded
    assert "nothing is judged" in folded
