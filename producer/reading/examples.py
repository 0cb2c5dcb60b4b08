"""Examples of the OpenAPI document: requests that this API accepts, made of the reference of a
model that it serves.

What a person tries on /docs should work, whatever the model: so the rows are not written down, but
values that the model's own reference has. Without a model nothing would be accepted, and there are
no examples.
"""

import csv
import io
from collections.abc import Mapping
from typing import Any, Final

from driftgauge.producer.scoring.serving import ServedVersion
from driftgauge.shared.contract.events import Value
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.profile import PREDICTION
from driftgauge.shared.versions.reference_rows import reference_rows, typical

PREDICTION_ID: Final = "0190f0a0-0000-7000-8000-000000000000"
Examples = dict[str, dict[str, object]]
"""Example of a request body by path and media type."""


def chosen(production: Mapping[str, ServedVersion], default: str | None) -> ServedVersion | None:
    """Choose the model of the examples: the default one, else the first that predicts, else the
    first.
    """
    if default is not None and default in production:
        return production[default]
    by_name = [production[name] for name in sorted(production)]
    return next(
        (served for served in by_name if served.estimator is not None),
        by_name[0] if by_name else None,
    )


def examples(served: ServedVersion) -> Examples:
    """Return a request for each route that takes rows or labels of a model."""
    features, known = row(served), prediction(served)
    found: Examples = {
        "/events": {"application/json": [{"model": served.model, "features": features} | known]}
    }
    if served.estimator is not None:
        found["/predict"] = {"application/json": {"model": served.model, "features": features}}
        rows = {"model": served.model, "rows": [features]}
        found["/predict_batch"] = {"application/json": rows, "text/csv": _table(features)}
    if served.manifest.labels and known:
        label = {"prediction_id": PREDICTION_ID, "label": known["prediction"]}
        found["/labels"] = {
            "application/json": [{"model": served.model, **label}],
            "text/csv": _table(label),
        }
    return found


def row(served: ServedVersion) -> dict[str, Value]:
    """Return a row that fits the schema; of personal features, which no reference has, by the
    schema alone.
    """
    rows = reference_rows(served.published)
    features = served.schema.features
    values = rows[len(rows) // 2] if rows else [_by_schema(feature) for feature in features]
    return dict(zip(served.schema.names, values, strict=True))


def prediction(served: ServedVersion) -> dict[str, Value]:
    """Return a prediction by its field's name, as the reference has it if it has any; nothing if
    the schema has none.
    """
    schema = served.schema
    if schema.prediction is None:
        return {}
    if schema.classes:
        return {"prediction": schema.classes[0]}
    known = [
        typical(column)
        for column in served.published.reference.columns
        if column.name == PREDICTION
    ]
    made = Feature("prediction", schema.prediction)
    return {"prediction": known[0] if known and known[0] is not None else _by_schema(made)}


def with_examples(document: Mapping[str, Any], found: Examples) -> dict[str, Any]:
    """Return an OpenAPI document with examples; the one given stays as it is.

    Examples
    --------
    >>> content = {"application/json": {"schema": {}}}
    >>> document = {"paths": {"/predict": {"post": {"requestBody": {"content": content}}}}}
    >>> made = with_examples(document, {"/predict": {"application/json": 7}})
    >>> (
    ...     made["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"],
    ...     content["application/json"],
    ... )
    ({'schema': {}, 'example': 7}, {'schema': {}})
    """
    paths = dict(document["paths"])
    for path, by_type in found.items():
        post = paths[path]["post"]
        content = post["requestBody"]["content"]
        shown = {kind: {**content[kind], "example": example} for kind, example in by_type.items()}
        body = {**post["requestBody"], "content": {**content, **shown}}
        paths[path] = {**paths[path], "post": {**post, "requestBody": body}}
    return {**document, "paths": paths}


def _by_schema(feature: Feature) -> Value:
    if feature.nullable:
        return None
    if feature.kind == "boolean":
        return True
    if feature.kind != "categorical":
        return feature.minimum if feature.minimum is not None else min(0.0, feature.maximum or 0.0)
    return feature.categories[0] if feature.categories else "text"


def _table(fields: Mapping[str, Value]) -> str:
    """Write one row as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(fields)
    writer.writerow("" if value is None else value for value in fields.values())
    return text.getvalue()
