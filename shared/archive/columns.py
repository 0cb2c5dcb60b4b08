"""The columns of an archive's files; those of predictions are from the schema of a version.

Columns of our own come first, then the features in the order of the events, then what the model
answered. A feature whose name one of our columns has, in whatever case, is `feature_NAME`; the
field's metadata holds its name. Numbers are doubles, booleans and times of the calendar are such,
categories are dictionaries.
"""

from typing import TYPE_CHECKING, Any, Final

from driftgauge.shared.extras import needs
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema

with needs("parquet"):
    import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable

TIME: Final = pa.timestamp("ms", tz="UTC")
CATEGORY: Final = pa.dictionary(pa.int32(), pa.string())
FEATURE: Final = b"feature"
"""Key of a field's metadata that holds the name of its feature."""
PLACE: Final = (
    pa.field("entry_time", TIME, metadata={b"about": b"when its entry came to the log"}),
    pa.field("entry_number", pa.int64()),
    pa.field("partition", pa.int32()),
)
"""Where a row's entry stands in the log."""
OWN: Final = (
    pa.field("id", pa.string()),
    pa.field("version", CATEGORY),
    pa.field("time", TIME),
    *PLACE,
    pa.field("source", CATEGORY),
    pa.field("latency_ms", pa.float64()),
    pa.field("trace", pa.string()),
)
REFUSED: Final = pa.schema(
    [
        OWN[0],
        pa.field("version", CATEGORY),
        pa.field("kind", CATEGORY),
        pa.field("time", TIME),
        pa.field("reason", CATEGORY),
        pa.field("text", pa.string()),
        pa.field("bytes", pa.int64()),
        pa.field("publisher", CATEGORY),
        *PLACE,
    ]
)
"""Columns of refused events."""
ALERTS: Final = pa.list_(
    pa.struct(
        [
            *((name, pa.string()) for name in ("fingerprint", "version", "feature", "segment")),
            *((name, pa.string()) for name in ("rule", "severity", "summary")),
            *((name, TIME) for name in ("started", "joined", "ended")),
        ]
    )
)
"""Alerts of an incident."""
INCIDENTS: Final = pa.schema(
    [
        OWN[0],
        pa.field("number", pa.int64()),
        pa.field("time", TIME),
        *(pa.field(name, CATEGORY) for name in ("change", "state", "severity", "kind")),
        pa.field("headline", pa.string()),
        *(pa.field(name, TIME) for name in ("since", "earliest", "latest", "opened", "ended")),
        pa.field("version", CATEGORY),
        *(pa.field(name, CATEGORY) for name in ("cause", "rule", "feature", "segment")),
        pa.field("effect", pa.string()),
        pa.field("features", pa.list_(pa.string())),
        pa.field("of_features", pa.int64()),
        pa.field("action", CATEGORY),
        pa.field("advice", pa.string()),
        pa.field("notify", pa.bool_()),
        pa.field("muted", pa.bool_()),
        pa.field("alerts", ALERTS),
        pa.field("of_alerts", pa.int64()),
        pa.field("snapshot", pa.string()),
        *PLACE[:2],
    ]
)
"""Columns of the transitions of incidents."""
HISTOGRAMS: Final = pa.schema(
    [
        pa.field("pane", pa.int64()),
        PLACE[2],
        pa.field("time", TIME),
        pa.field("closed", TIME),
        pa.field("version", CATEGORY),
        pa.field("reference", pa.int32()),
        pa.field("feature", CATEGORY),
        pa.field("rows", pa.int64()),
        pa.field("counts", pa.list_(pa.int32())),
    ]
)
"""Columns of panes: a row for each pane, version and column of it."""
CELLS: Final = pa.schema(
    [
        pa.field("version", pa.string()),
        pa.field("reference", pa.int32()),
        pa.field("feature", pa.string()),
        pa.field("cell", pa.int64()),
        pa.field("bin", pa.int32()),
        pa.field("part", pa.string()),
        pa.field("low", pa.float64()),
        pa.field("high", pa.float64()),
        pa.field("category", pa.string()),
        pa.field("expected", pa.int64()),
    ]
)
"""Columns of the table of a reference's cells."""
JOINED: Final = ("label", "label_time")
"""Columns that labels add to their predictions."""
TAKEN: Final = frozenset(
    {*(field.name for field in OWN), *JOINED, "prediction", "probabilities", "model", "date"}
)
"""Names of columns that are no features."""


def prediction_columns(schema: Schema) -> Any:
    """Return the Arrow schema of a version's predictions.

    Examples
    --------
    >>> schema = Schema((Feature("x", "numeric"), Feature("Time", "categorical")), "numeric")
    >>> prediction_columns(schema.stream).names[-3:]
    ['x', 'feature_Time', 'prediction']
    """
    names = column_names([feature.name for feature in schema.features])
    fields = [
        pa.field(name, _type(feature), metadata={FEATURE: feature.name.encode()})
        for name, feature in zip(names, schema.features, strict=True)
    ]
    answer = {"numeric": pa.float64(), "categorical": CATEGORY}.get(schema.prediction or "")
    answers = [] if answer is None else [pa.field("prediction", answer)]
    if schema.classes:
        shares = {b"classes": "\n".join(schema.classes).encode()}
        answers.append(pa.field("probabilities", pa.list_(pa.float64()), metadata=shares))
    return pa.schema([*OWN, *fields, *answers])


def label_columns(*, numbers: bool) -> Any:
    """Return the Arrow schema of labels, which are numbers or classes."""
    label = pa.field("label", pa.float64() if numbers else CATEGORY)
    return pa.schema([OWN[0], label, pa.field("time", TIME), *PLACE])


def column_names(features: "Iterable[str]") -> list[str]:
    """Return the columns' names of features; no two differ in case alone, since SQL knows none.

    Examples
    --------
    >>> column_names(["x", "X", "Version"])
    ['x', 'feature_X', 'feature_Version']
    """
    used, names = set(TAKEN), []
    for feature in features:
        name = feature
        while name.casefold() in used:
            name = f"feature_{name}"
        used.add(name.casefold())
        names.append(name)
    return names


def _type(feature: Feature) -> Any:
    """Return the type of a feature's values. A timestamp that is written as a number stands in the
    log in its own unit, and stays a number.
    """
    if feature.kind == "timestamp":
        unit = None if feature.time is None else feature.time.unit
        return TIME if unit in {None, "ms"} else pa.float64()
    if feature.kind == "boolean":
        return pa.bool_()
    return CATEGORY if feature.kind == "categorical" else pa.float64()
