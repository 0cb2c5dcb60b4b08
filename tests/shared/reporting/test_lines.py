import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.shared.reporting.canvas import WIDTH
from driftgauge.shared.reporting.lines import Mark, interval, over_time, qq_plot, sparkline

EVIL = '"><img src=x onerror=alert(1)><script>alert(1)</script>&\u202e\x00'
NUMBERS = st.none() | st.floats(0, 1e6) | st.sampled_from([float("nan"), float("inf")])


def elements(markup: str) -> list[ET.Element]:
    return list(ET.fromstring(markup or "<svg/>").iter())  # noqa: S314 (our own output)


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.e+-]+) (-?[\d.e+-]+)", path)]


@given(st.lists(NUMBERS, max_size=64), st.none() | st.floats(0, 10), st.none() | st.floats(0, 10))
def test_lines_stay_inside(
    values: list[float | None], warning: float | None, critical: float | None
) -> None:
    """Whatever was not judged, and however large a value, line and thresholds lie in the picture,
    each value once.
    """
    times = [1_714_557_600_000 + 1000 * place for place in range(len(values))]
    drawn = [value for value in values if value is not None and 0 <= value < float("inf")]
    found = [
        one
        for one in elements(over_time(times, values, warning, critical))
        if one.get("class") == "line"
    ]
    assert len(found) == (len(drawn) > 1)
    for line in found:
        at = points(line.attrib["d"])
        assert len(at) == len(drawn)
        assert all(0 <= x <= WIDTH and 0 <= y <= 140 for x, y in at)
    for one in elements(sparkline(values, warning, critical)):
        assert all(0 <= x <= 72 and 0 <= y <= 18 for x, y in points(one.get("d", "")))


def test_a_line_is_to_scale() -> None:
    """Heights are in proportion to values, times to their distance; a threshold's line has the
    height of its number.
    """
    drawn = over_time([0, 1000, 4000], [0.1, 0.2, 0.4], 0.2, 0.4)
    line = next(one for one in elements(drawn) if one.get("class") == "line")
    (x0, y0), (x1, y1), (x2, y2) = points(line.attrib["d"])
    assert (x2 - x0) / (x1 - x0) == pytest.approx(4, abs=0.01)
    assert (y0 - y2) / (y0 - y1) == pytest.approx(3, abs=0.01)
    limits = {
        one.attrib["class"]: points(one.attrib["d"])[0][1]
        for one in elements(drawn)
        if "limit" in one.get("class", "")
    }
    assert limits == {"limit warning": y1, "limit critical": y2}


def test_what_was_not_judged_is_a_gap() -> None:
    """A missing value breaks the line, and a value between two gaps is a dot."""
    line = next(
        one
        for one in elements(over_time([0, 1, 2, 3], [1, None, 2, None]))
        if one.get("class") == "line"
    )
    assert line.attrib["d"].count("M") == line.attrib["d"].count("h0") == 2


def test_close_thresholds_share_a_label() -> None:
    """Two numbers never stand on each other: far below a huge value the thresholds have one
    label.
    """
    near = "".join(one.text or "" for one in elements(over_time([0, 1], [0.0, 50.0], 0.1, 0.25)))
    far = [
        one.text for one in elements(over_time([0, 1], [0.0, 0.3], 0.1, 0.25)) if one.tag == "text"
    ]
    assert "warning 0.100 · critical 0.250" in near
    assert {"warning 0.100", "critical 0.250"} <= set(far)


def test_marks_are_inert_and_in_time() -> None:
    """A mark's label is text; one outside of the time that is shown is left out."""
    marks = [Mark(500, "critical", EVIL), Mark(5000, "warning", "later")]
    found = elements(over_time([0, 1000], [0.1, 0.2], marks=marks))
    assert {one.tag for one in found} == {"svg", "g", "title", "text", "path", "circle"}
    assert len([one for one in found if one.get("class", "").startswith("mark")]) == 1


@pytest.mark.parametrize("gap", [60_000, 30 * 86_400_000])
def test_the_ends_of_time_are_told_apart(gap: int) -> None:
    """The first and the last moment are written, to the second where minutes would be the same."""
    first, last = [
        one.text or ""
        for one in elements(over_time([0, gap], [1, 2]))
        if (one.text or "").startswith("19")
    ]
    assert first != last


@given(st.lists(st.floats(-1e9, 1e9), min_size=33, max_size=33).map(sorted), st.floats(-100, 100))
def test_quantiles_that_moved_lie_off_the_line(quantiles: list[float], shift: float) -> None:
    """Without a change every dot of the Q-Q plot is on y = x; those of a shift are all on one side;
    none is outside.
    """
    for moved in (0.0, shift):
        found = elements(qq_plot(quantiles, [value + moved for value in quantiles]))
        dots = points(next((one.attrib["d"] for one in found if one.get("class") == "dots"), ""))
        ends = points(
            next((one.attrib["d"] for one in found if one.get("class") == "diagonal"), "")
        )
        assert len(dots) in {0, 31}
        for x, y in dots:
            (x0, y0), (x1, y1) = ends
            above = y0 + (x - x0) / (x1 - x0) * (y1 - y0) - y  # up is down in SVG
            assert abs(above) < 0.02 if not moved else above * moved > -0.02 * abs(moved)
            assert 0 <= x <= WIDTH
            assert 0 <= y <= 116


def test_no_plot_of_nothing() -> None:
    """Categories, constants and sides of different length have no Q-Q plot; a metric without
    interval has no bar.
    """
    assert qq_plot([], []) == qq_plot([1] * 33, [1] * 33) == qq_plot([1, 2, 3], [1, 2]) == ""
    assert interval(0.5, None, None, 0.4) == interval(0.5, 0.5, 0.5, None) == ""
