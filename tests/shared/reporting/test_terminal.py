import msgspec
import pytest

from driftgauge.shared.contract.severity import ALARMING
from driftgauge.shared.contract.snapshot import SegmentFeature, Segments, Snapshot
from driftgauge.shared.reporting.terminal import MOST_SEGMENTS, render_text
from tests.shared.reporting.segmented import region, segment
from tests.shared.reporting.test_html import EVIL, hostile

replace = msgspec.structs.replace


def test_a_snapshot_on_a_terminal(full: Snapshot) -> None:
    """Verdict, every column, metrics by their display names with interval and baseline, the target,
    a sentence a feature.
    """
    text = render_text(full)
    assert text.startswith(f"steel v3: {full.verdict}\n")
    assert full.prediction
    for feature in [*full.features, full.prediction]:
        assert f"\n  {feature.name} " in text
    lines = {line.split("  ")[1]: line for line in text.splitlines() if line.startswith("  ")}
    assert lines["macro F1"].split() == [
        "macro",
        "F1",
        "critical",
        "0.600",
        "(0.571",
        "to",
        "0.629),",
        "baseline",
        "0.683",
    ]
    assert "PSI 0.21 exceeds 0.131" in lines["target (label)"]
    assert "warning" in lines["target (label)"]
    assert f"\n  {region().explanation}\n" in text
    assert text.index(region().explanation) < text.index("No segment of device stands out.")
    assert "accuracy 0.610, baseline 0.850, PSI of temperature 0.610" in lines["region=area 04"]


def test_the_five_worst_segments(full: Snapshot) -> None:
    """Of more that are bad the worst are named, and none that is well."""
    bad = [
        segment("region", f"v{at}", severity="critical", contribution=-0.01 * at) for at in range(9)
    ]
    found = Segments(
        "accuracy", 0.7, 0.8, [SegmentFeature("region", [*bad, segment("region", "well")])]
    )
    named = [
        line.split()[0]
        for line in render_text(replace(full, segments=found)).splitlines()
        if " region=" in line
    ]
    assert named == [f"region=v{at}" for at in (8, 7, 6, 5, 4)]
    assert len(named) == MOST_SEGMENTS
    assert {"critical", "warning"} == ALARMING


def test_an_alert_of_a_segment_is_named(full: Snapshot) -> None:
    """What the columns' lines cannot say is said: the alert of a segment, with the segment."""
    alert = replace(full.alerts[0], segment="region=north")
    text = render_text(replace(full, alerts=[alert, full.alerts[1]]))
    assert "  warning alert, hour in region=north: PSI 0.203 exceeds 0.142" in text
    assert text.count(" alert, ") == 1


@pytest.mark.parametrize(
    "text", [EVIL, "\x1b]0;owned\x07\x1b[2J\r", "a\nb", "\u202e\x00\ud800", "A" * 10_000]
)
def test_untrusted_text_steers_no_terminal(full: Snapshot, text: str) -> None:
    """Names, values and reasons reach the terminal without control characters, in lines of bounded
    length and number.
    """
    shown = render_text(hostile(text, full))
    assert not [
        character
        for character in shown
        if character != "\n" and (ord(character) < 32 or character == "\u202e")
    ]
    assert len(shown.splitlines()) == len(render_text(hostile("x", full)).splitlines())
    assert max(map(len, shown.splitlines())) < 600
    shown.encode()


def test_without_performance_and_segments(snapshot: Snapshot) -> None:
    """A version without labels and segments has no lines of them."""
    text = render_text(snapshot)
    assert "Performance" not in text
    assert "Segments" not in text
