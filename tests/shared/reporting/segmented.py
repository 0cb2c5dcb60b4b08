"""Segments for reports: as many and as odd as they can be."""

from typing import Any

import msgspec

from driftgauge.shared.contract.snapshot import (
    FairnessReport,
    GroupRate,
    MetricReport,
    SegmentDrift,
    SegmentFeature,
    SegmentReport,
    Segments,
)

VALUES = tuple(f"area {number:02}" for number in range(20))


def metric(
    value: float | None, rows: int, baseline: float | None = 0.85, name: str = "accuracy"
) -> MetricReport:
    if value is None:
        return MetricReport(name, None, None, None, 0.0, rows, baseline, note="no rows")
    half = 1.0 / max(rows, 1) ** 0.5
    change = None if baseline is None else (value - baseline) / baseline
    return MetricReport(name, value, value - half, value + half, 0.0, rows, baseline, change)


def segment(feature: str = "region", value: str = "north", **more: Any) -> SegmentReport:
    given: dict[str, Any] = {
        "severity": "ok",
        "reason": "",
        "rows": 400,
        "share": 0.2,
        "reference_share": 0.21,
        "labelled": 300,
        "drift": [SegmentDrift("temperature", 0.02, 0.3), SegmentDrift("hour", 0.004, None)],
        "metrics": [metric(0.84, 300), metric(0.6, 300, None, "f1_macro")],
        "contribution": -0.001,
    }
    return SegmentReport(feature=feature, value=value, **{**given, **more})


def region() -> SegmentFeature:
    """One segment that fell, one that drifts, small ones, and OTHER: 21."""
    ordinary = [
        segment(
            "region",
            value,
            rows=700 - 30 * at,
            share=(700 - 30 * at) / 9000,
            contribution=0.0004 * (at - 8),
        )
        for at, value in enumerate(VALUES)
    ]
    fell = msgspec.structs.replace(
        ordinary[4],
        severity="critical",
        reason="accuracy 0.61, baseline 0.85 (-28.2 %), 812 labelled predictions",
        rows=1412,
        share=0.31,
        reference_share=0.11,
        metrics=[metric(0.61, 812)],
        contribution=-0.0312,
        drift=[
            SegmentDrift("temperature", 0.61, 0.3),
            SegmentDrift("load_type", 0.4, 0.3),
            SegmentDrift("hour", 0.1, None),
        ],
    )
    moved = msgspec.structs.replace(
        ordinary[2],
        severity="warning",
        reason="PSI of temperature 0.351 exceeds 0.3",
        contribution=0.0021,
        drift=[SegmentDrift("temperature", 0.351, 0.3)],
    )
    few = [
        msgspec.structs.replace(
            one,
            severity="insufficient_data",
            reason="31 of 200 rows",
            rows=31,
            share=0.004,
            drift=[],
            labelled=9,
            metrics=[metric(0.9, 9)],
        )
        for one in ordinary[17:]
    ]
    silent = msgspec.structs.replace(ordinary[16], labelled=0, metrics=[], contribution=None)
    nothing: dict[str, Any] = {
        "rows": 0,
        "share": 0.0,
        "drift": [],
        "labelled": 0,
        "metrics": [metric(None, 0)],
    }
    rest = segment("region", "OTHER", reference_share=0.01, contribution=0.0, **nothing)
    segments = [*ordinary[:2], moved, ordinary[3], fell, *ordinary[5:16], silent, *few, rest]
    sentence = (
        "Accuracy fell from 0.850 to 0.815, nearly all of it in region=area 04 (0.850 to 0.610, 31 "
        "% of the labelled rows), "
        "where temperature and load_type drift."
    )
    return SegmentFeature("region", segments, -0.0041, sentence)


def calm(feature: str = "device") -> SegmentFeature:
    """Nothing happened; 21 segments."""
    return SegmentFeature(
        feature, [segment(feature, value) for value in (*VALUES, "OTHER")], 0.0002
    )


def segments() -> Segments:
    """Three features of 21 segments, as large as they come."""
    odd = [
        segment("channel_of_the_order_in_the_shop", value)
        for value in ("", " ", "W" * 300, "日本語" * 40)
    ]
    channel = SegmentFeature(
        "channel_of_the_order_in_the_shop", [*odd, *calm().segments[: 21 - len(odd)]], None
    )
    return Segments("accuracy", 0.815, 0.85, [calm(), region(), channel])


def numeric() -> Segments:
    """Of a model of numbers, in its unit."""
    parts = [
        segment(
            "line",
            value,
            metrics=[metric(1200.0 + 700 * at, 500, 1234.5, "mae")],
            contribution=210.25 * (at - 1),
            severity="critical" if at == 2 else "ok",
        )
        for at, value in enumerate(("A", "B", "C"))
    ]
    return Segments(
        "mae",
        1544.0,
        1234.5,
        [SegmentFeature("line", parts, 12.0, "MAE rose, most of it in line=C.")],
    )


def treated(feature: str = "sex", *, limited: bool = True) -> SegmentFeature:
    """Two groups that are treated differently, and OTHER with too few rows."""
    groups = [
        segment(
            feature,
            value,
            rates=[
                GroupRate("selection_rate", selected, 0.5, rows),
                GroupRate("true_positive_rate", hit, 0.9, rows // 4),
                GroupRate("false_positive_rate", None, None, 0),
            ],
        )
        for value, selected, hit, rows in (
            ("m", 0.5, 0.9, 800),
            ("f", 0.31, 0.75, 700),
            ("OTHER", 1.0, None, 3),
        )
    ]
    ratio = FairnessReport(
        "selection_rate_ratio",
        0.62,
        0.5412,
        0.7056,
        0.98,
        "selection_rate",
        "f",
        "m",
        1500,
        warning=0.9 if limited else None,
        critical=0.8 if limited else None,
        severity="critical" if limited else None,
    )
    odds = FairnessReport(
        "equalised_odds", None, None, None, None, "", "", "", 0, note="fewer than two groups"
    )
    return SegmentFeature(feature, groups, fairness=[ratio, odds])
