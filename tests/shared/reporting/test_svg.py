from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.shared.contract.snapshot import Histogram
from driftgauge.shared.reporting.svg import MOST_BARS, WIDTH, box_plot, gauge, histogram

EVIL = '"><img src=x onerror=alert(1)><script>alert(1)</script>&\u202e\x00\ud800'


def areas(markup: str, kind: str) -> list[float]:
    rects = ET.fromstring(markup).iter("rect")  # noqa: S314 (our own output)
    return [
        float(rect.attrib["width"]) * float(rect.attrib["height"])
        for rect in rects
        if kind in rect.attrib["class"][0]
    ]


def assert_areas_are(markup: str, reference: list[float], window: list[float]) -> None:
    drawn = areas(markup, "r") + areas(markup, "w")
    shares = reference + window
    assert [area / sum(drawn) for area in drawn] == pytest.approx(
        [s / sum(shares) for s in shares], abs=1e-3
    )


@st.composite
def numeric(draw: st.DrawFn) -> Histogram:
    widths = draw(st.lists(st.floats(0.01, 10), min_size=1, max_size=MOST_BARS))
    edges = [draw(st.floats(-100, 100))]
    for width in widths:
        edges.append(edges[-1] + width)
    shares = st.lists(st.floats(0.001, 1), min_size=len(widths), max_size=len(widths))
    return Histogram(edges=edges, labels=None, reference=draw(shares), window=draw(shares))


@given(numeric())
def test_areas_are_the_shares(shares: Histogram) -> None:
    """Whatever the widths of the bins, a bar's area is in proportion to its share of rows."""
    assert_areas_are(histogram(shares), shares.reference, shares.window)


def test_unequal_bins_are_drawn_as_densities() -> None:
    """The height of a numeric bar is share over bin width, on a labelled axis."""
    markup = histogram(
        Histogram(edges=[0, 1, 4], labels=None, reference=[0.25, 0.75], window=[0.25, 0.75])
    )
    rects = list(ET.fromstring(markup).iter("rect"))  # noqa: S314 (our own output)
    assert len({rect.attrib["height"] for rect in rects}) == 1
    assert [float(rect.attrib["width"]) for rect in rects[::2]] == [WIDTH / 4, 3 * WIDTH / 4]
    assert ">4</text>" in markup


@pytest.mark.parametrize(
    "edges",
    [
        [0, 0, 1, 2],
        [1, 1 + 1e-15, 1 + 2e-15, 1 + 3e-15],
        [-1e308, 0, 1, 1e308],
        [0, 1, 1, 1],
        [float("-inf"), 0, 1, float("inf")],
        [0, 1e-6, 1, 1000],
    ],
)
def test_bins_that_fit_no_scale_become_ranges(edges: list[float]) -> None:
    """Bins without width, without end, or beside which all others vanish are drawn as labelled
    bars.
    """
    markup = histogram(
        Histogram(edges=edges, labels=None, reference=[0.5, 0.3, 0.2], window=[0.4, 0.4, 0.2])
    )
    assert "Bars of" in markup
    assert_areas_are(markup, [0.5, 0.3, 0.2], [0.4, 0.4, 0.2])


def test_many_ranges_are_joined() -> None:
    """Any number of bins gives a picture of bounded height that still holds all rows."""
    n = 256
    edges = [0.0, 1e-9, *(float(i) for i in range(1, n))]
    markup = histogram(
        Histogram(edges=edges, labels=None, reference=[1 / n] * n, window=[1 / n] * n)
    )
    assert len(areas(markup, "r")) <= MOST_BARS
    assert_areas_are(markup, [11 / n] * 23 + [3 / n], [11 / n] * 23 + [3 / n])


def test_many_categories_are_folded() -> None:
    """The largest categories keep their order, the rest are one bar, and no row is lost."""
    labels = [f"c{i}" for i in range(1000)]
    shares = [0.0005] * 998 + [0.2, 0.301]
    markup = histogram(Histogram(edges=None, labels=labels, reference=shares, window=shares))
    assert "977 others" in markup
    assert markup.index(">c998<") < markup.index(">c999<") < markup.index("others")
    kept = [0.0005] * 21 + [0.2, 0.301, 977 * 0.0005]
    assert_areas_are(markup, kept, kept)


def test_an_empty_window_is_drawn() -> None:
    """A window without rows shows the reference alone."""
    markup = histogram(Histogram(edges=[0, 1, 2], labels=None, reference=[0.5, 0.5], window=[0, 0]))
    assert sum(areas(markup, "w")) == 0 < sum(areas(markup, "r"))
    assert histogram(Histogram(edges=None, labels=["a"], reference=[0], window=[0]))


def test_labels_are_inert() -> None:
    """A hostile label is text in a well-formed picture."""
    markup = histogram(
        Histogram(edges=None, labels=[EVIL, "A" * 10_000], reference=[0.5, 0.5], window=[0.1, 0.9])
    )
    tags = {element.tag for element in ET.fromstring(markup).iter()}  # noqa: S314 (our own output)
    assert tags == {"svg", "g", "title", "text", "rect"}
    assert len(markup) < 2500


@given(st.lists(st.floats(allow_nan=False), min_size=5, max_size=5).map(sorted))
def test_box_plots_stay_inside(quantiles: list[float]) -> None:
    """Boxes of any five quantiles, equal or extreme, lie inside the picture, above few numbers."""
    root = ET.fromstring(box_plot(quantiles, quantiles) or "<svg/>")  # noqa: S314 (our own output)
    for rect in root.iter("rect"):
        assert float(rect.attrib["x"]) >= 0
        assert float(rect.attrib["x"]) + float(rect.attrib["width"]) <= WIDTH + 0.51
    assert len(list(root.iter("text"))) <= 2 + 8


def test_one_sided_box_plot() -> None:
    """Without quantiles of the window the reference stands alone; undefined ones are left out."""
    assert box_plot([1, 2, 3, 4, 5], []).count("<rect") == 1
    assert box_plot([1, 2, 3, 4, 5], [float("nan")] * 5).count("<rect") == 1


@pytest.mark.parametrize(
    ("value", "severity"),
    [(0.05, "ok"), (0.1, "ok"), (0.2, "warning"), (0.3, "critical"), (1e9, "critical")],
)
def test_gauge_says_what_the_thresholds_say(value: float, severity: str) -> None:
    """The bar has the severity of the threshold that it exceeds, and ends inside its track."""
    _, bar = ET.fromstring(gauge(value, 0.1, 0.25)).iter("rect")  # noqa: S314 (our own output)
    assert bar.attrib["class"] == severity
    assert float(bar.attrib["width"]) <= 72
