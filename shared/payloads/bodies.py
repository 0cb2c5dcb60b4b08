"""Bodies of inference requests and answers, read as rows of features and as predictions.

| | request | answer |
|---|---|---|
| Open Inference V2 | `inputs`: a tensor of shape [N] or [N, 1] for each feature, or one of [N, F] in the schema's order | `outputs`: [N], and [N, C] for the classes' probabilities |
| V1 | `instances`: objects, or lists in the schema's order | `predictions` |
| MLflow | `dataframe_split`, `dataframe_records` | `predictions` |
| Seldon V1 | `data`: `names` and `ndarray`, or `tensor` | the same |
"""  # noqa: E501  a table

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from driftgauge.shared.errors import BadData
from driftgauge.shared.payloads.tensors import Tensor, read_tensors, split
from driftgauge.shared.reference.schema import Schema

USUAL: Final = ("prediction", "predictions", "predict", "label", "class", "output", "output_0")
"""Names of an answer's tensor or field that is the prediction, where there are several."""
SHARES: Final = ("probabilities", "probability", "predict_proba", "scores")
Row = Mapping[str, Any]


class Answer(msgspec.Struct, frozen=True):
    """What a model answered for one row."""

    prediction: Any
    probabilities: list[Any] | None = None


def rows_of(body: bytes, schema: Schema, header_bytes: int | None = None) -> list[Row]:
    """Read the rows of a request.

    Parameters
    ----------
    header_bytes
        Length of the JSON, where tensors follow it as bytes.

    Raises
    ------
    BadData
        If it is none of the forms, or does not have the schema's number of features.

    Examples
    --------
    >>> from driftgauge.shared.reference.feature import Feature
    >>> schema = Schema((Feature("x", "numeric"), Feature("c", "categorical")))
    >>> rows_of(b'{"instances":[[1,"a"],{"x":2,"c":"b"}]}', schema)
    [{'x': 1, 'c': 'a'}, {'x': 2, 'c': 'b'}]
    >>> rows_of(
    ...     b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]},'
    ...     b'{"name":"c","shape":[1],"datatype":"BYTES","data":["a"]}]}',
    ...     schema,
    ... )
    [{'x': 1, 'c': 'a'}]
    """
    document, binary = split(body, header_bytes)
    if not isinstance(document, dict):
        raise BadData("The body is no object.")
    if "instances" in document:
        return _instances(document["instances"], schema)
    if "dataframe_records" in document:
        return _instances(document["dataframe_records"], schema)
    if isinstance(document.get("dataframe_split"), dict):
        return _split_frame(document["dataframe_split"])
    if isinstance(document.get("data"), dict):
        return _seldon_rows(document["data"], schema)
    if "inputs" in document:
        return tensor_rows(read_tensors(document["inputs"], binary), schema)
    raise BadData(
        "The body has neither inputs (V2) nor instances (V1), dataframe_split, "
        "dataframe_records or data."
    )


def answers_of(body: bytes, schema: Schema, header_bytes: int | None = None) -> list[Answer]:
    """Read the predictions of an answer.

    Raises
    ------
    BadData
        If it is none of the forms, or it cannot be told which of its parts is the prediction.

    Examples
    --------
    >>> from driftgauge.shared.reference.feature import Feature
    >>> schema = Schema((Feature("x", "numeric"),), "categorical", classes=("no", "yes"))
    >>> answers_of(b'{"predictions":["no",[0.25,0.75]]}', schema)[1]
    Answer(prediction='yes', probabilities=[0.25, 0.75])
    """
    document, binary = split(body, header_bytes)
    if isinstance(document, dict) and "outputs" in document:
        return _outputs(read_tensors(document["outputs"], binary), schema)
    found = document.get("predictions") if isinstance(document, dict) else document
    if found is None and isinstance(document.get("data"), dict):
        found = _seldon_array(document["data"])
    if not isinstance(found, list):
        raise BadData("The body has neither outputs (V2) nor a list of predictions (V1).")
    return [_answer(one, schema) for one in found]


def tensor_rows(tensors: Sequence[Tensor], schema: Schema) -> list[Row]:
    """Return the rows that tensors hold: one tensor of all features in the schema's order, or one
    for each feature.
    """
    names = schema.names
    if len(tensors) == 1 and (tensors[0].name not in names or len(names) > 1):
        rows = tensors[0].rows() if len(tensors[0].shape) > 1 else [list(tensors[0].values)]
        if len(names) == 1 and len(tensors[0].shape) == 1:
            rows = [[value] for value in tensors[0].values]
        return _instances(rows, schema)
    length = tensors[0].shape[0]
    for tensor in tensors:
        if len(tensor.values) != tensor.shape[0]:
            raise BadData(f"Tensor {tensor.name[:64]!r} has several values a row.")
        if tensor.shape[0] != length:
            raise BadData("The tensors have different numbers of rows.")
    columns = {tensor.name: tensor.values for tensor in tensors}
    return [{name: values[row] for name, values in columns.items()} for row in range(length)]


def _instances(given: object, schema: Schema) -> list[Row]:
    if not isinstance(given, list):
        raise BadData("The rows are no list.")
    return [_instance(one, place, schema.names) for place, one in enumerate(given)]


def _instance(one: object, place: int, names: Sequence[str]) -> Row:
    if isinstance(one, dict):
        return one
    values = one if isinstance(one, list) else [one]
    if len(values) != len(names):
        raise BadData(f"Row {place} has {len(values)} values; the model has {len(names)} features.")
    return dict(zip(names, values, strict=True))


def _split_frame(frame: Mapping[str, Any]) -> list[Row]:
    columns, data = frame.get("columns"), frame.get("data")
    if not isinstance(columns, list) or not isinstance(data, list):
        raise BadData("dataframe_split has no lists columns and data.")
    if not all(isinstance(name, str) for name in columns):
        raise BadData("dataframe_split names columns by something else than text.")
    if any(not isinstance(row, list) or len(row) != len(columns) for row in data):
        raise BadData("dataframe_split has rows of another length than its columns.")
    return [dict(zip(columns, row, strict=True)) for row in data]


def _seldon_array(data: Mapping[str, Any]) -> list[Any]:
    """Return the rows of Seldon's data."""
    found, tensor = data.get("ndarray"), data.get("tensor")
    if isinstance(tensor, dict):
        shape, values = tensor.get("shape"), tensor.get("values")
        (one,) = read_tensors(
            [{"name": "data", "shape": shape, "datatype": "FP64", "data": values}], b""
        )
        found = one.rows()
    if not isinstance(found, list):
        raise BadData("data has neither a list ndarray nor a tensor.")
    return found


def _seldon_rows(data: Mapping[str, Any], schema: Schema) -> list[Row]:
    names, rows = data.get("names"), _seldon_array(data)
    if isinstance(names, list) and names and set(map(str, names)) == set(schema.names):
        return _split_frame({"columns": names, "data": rows})
    return _instances(rows, schema)


def _answer(one: Any, schema: Schema) -> Answer:
    """Read what was answered for one row."""
    if isinstance(one, dict):
        shares = next((one[name] for name in SHARES if isinstance(one.get(name), list)), None)
        named = next((one[name] for name in (schema.target, *USUAL) if name in one), None)
        return _answered(named, shares, schema)
    if isinstance(one, list):
        if len(one) > 1 and len(one) == len(schema.classes):
            return _answered(None, one, schema)
        if len(one) != 1:
            raise BadData(f"{len(one)} values are answered for one row.")
        return Answer(one[0])
    return Answer(one)


def _answered(named: Any, shares: list[Any] | None, schema: Schema) -> Answer:
    """Make an answer; without a prediction it is the class of the largest probability."""
    if shares is None or len(shares) != len(schema.classes):
        return Answer(named)
    if named is None and all(isinstance(share, int | float) for share in shares):
        named = schema.classes[shares.index(max(shares))]
    return Answer(named, shares)


def _outputs(tensors: Sequence[Tensor], schema: Schema) -> list[Answer]:
    """Read the tensors of an answer: one value a row is the prediction, one for each class are the
    probabilities.
    """
    classes = len(schema.classes)
    wide = [one for one in tensors if classes > 1 and _width(one) == classes]
    narrow = [one for one in tensors if one not in wide and _width(one) == 1]
    if len(narrow) > 1:
        known = (schema.target, *USUAL)
        narrow = [one for one in narrow if one.name in known] or narrow
    if len(narrow) > 1 or len(wide) > 1 or not (narrow or wide):
        names = ", ".join(one.name[:64] for one in tensors)
        raise BadData(f"Which of the tensors {names} is the prediction? Name it prediction.")
    predictions = narrow[0].values if narrow else [None] * wide[0].shape[0]
    shares: Sequence[list[Any] | None] = wide[0].rows() if wide else [None] * len(predictions)
    if len(predictions) != len(shares):
        raise BadData("The tensors have different numbers of rows.")
    return [_answered(*one, schema) for one in zip(predictions, shares, strict=True)]


def _width(tensor: Tensor) -> int:
    return len(tensor.values) // tensor.shape[0] if tensor.shape[0] else 1
