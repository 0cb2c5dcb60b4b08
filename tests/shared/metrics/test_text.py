"""The text that Prometheus reads, whatever names are in it."""

import pytest

from driftgauge.shared.metrics.definition import counter, gauge, histogram, summary, table
from driftgauge.shared.metrics.text import LONGEST, Exposition, labels, whole
from tests.exposition import check_by_promtool, parse, parse_openmetrics, read

TABLE = table(
    gauge("app_psi", "feature", "PSI of a feature."),
    counter("app_events_total", "model", "Events."),
    histogram("app_latency_seconds", "model", "Latency."),
    summary("app_delay_seconds", "model", "Delay."),
)
HOSTILE = [
    'a"b',
    "a\\",
    "a\nb",
    '"} 1\nforged{x="',
    "\ud800",
    "",
    "é☃",
    "\r\t\x7f",
    "\u202egnp.exe\u2066",
    "# EOF",
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_label_value_stays_a_label_value(hostile: str) -> None:
    """Whatever a name holds, it is read back as that label's value and forges no other sample."""
    text = Exposition(TABLE)
    text.add("app_psi", 0.5, labels(feature=hostile))
    metrics = read(text)
    assert list(metrics) == ["app_psi"]
    (sample,) = metrics["app_psi"].samples
    assert sample.labels == {"feature": hostile.encode("utf-8", "backslashreplace").decode()}


def test_long_names_are_cut_and_stay_apart() -> None:
    """A value is bounded; two that begin alike are still two series."""
    text = Exposition(TABLE)
    for end in "ab":
        text.add("app_psi", 0.5, labels(feature="x" * 10_000 + end))
    found = {sample.labels["feature"] for sample in read(text)["app_psi"].samples}
    assert len(found) == 2
    assert max(map(len, found)) <= LONGEST


def test_a_zero_byte_ends_no_text() -> None:
    """Prometheus's reader takes it for the end of a scrape, so it is written out."""
    text = Exposition(TABLE)
    text.add("app_psi", 0.5, labels(feature="a\0b"))
    (sample,) = read(text)["app_psi"].samples
    assert sample.labels == {"feature": r"a\x00b"}


def test_all_kinds_in_both_formats() -> None:
    """Both parsers of prometheus_client read the same of every kind, and a metric without samples
    is left out.
    """
    text = Exposition(TABLE)
    given = labels(model="steel")
    text.add("app_events_total", 2**60, given)
    text.histogram("app_latency_seconds", (0.5, 1), (3, 1, 2), 7.25, given)
    text.quantiles("app_delay_seconds", {0.5: 1.0, 0.99: 2.5}, given)
    metrics = read(text)
    assert [one.type for one in metrics.values()] == ["counter", "histogram", "summary"]
    buckets = [(s.labels["le"], s.value) for s in metrics["app_latency_seconds"].samples[:3]]
    assert buckets == [("0.5", 3), ("1.0", 4), ("+Inf", 6)]
    assert [s.labels["quantile"] for s in metrics["app_delay_seconds"].samples] == ["0.5", "0.99"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e-300, 0.1, -0.0])
def test_every_number_is_read_back(value: float) -> None:
    """What is no number, or beyond all, has the spelling that Prometheus knows."""
    text = Exposition(TABLE)
    text.add("app_psi", value, labels(feature="x"))
    for found in (
        parse(text.written("text")),
        parse_openmetrics(whole([text.written("openmetrics")], "openmetrics").decode()),
    ):
        assert repr(found["app_psi"].samples[0].value) == repr(value)


def test_promtool_reads_it() -> None:
    """Prometheus's own linter finds nothing, with hostile names too."""
    text = Exposition(TABLE)
    for hostile in HOSTILE:
        text.add("app_psi", 0.5, labels(feature=hostile))
    text.add("app_events_total", 5, labels(model="steel"))
    text.histogram("app_latency_seconds", (0.5, 1), (3, 1, 2), 7.25, labels(model="steel"))
    text.quantiles("app_delay_seconds", {0.5: 1.0}, labels(model="steel"))
    check_by_promtool(whole([text.written("text")], "text"))
