"""The Open Inference Protocol, version 2, as a server speaks it: what a model takes and gives, and
the answer to a request.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from driftgauge.shared.errors import BadData
from driftgauge.shared.payloads.tensors import BINARY_SIZE, TEXTS, packed
from driftgauge.shared.reference.schema import Schema

PREDICTION: Final = "prediction"
PROBABILITIES: Final = "probabilities"
PLATFORM: Final = "driftgauge"
MOST_REQUEST_ID: Final = 120


class Asked(msgspec.Struct, frozen=True):
    """What a request says beside its rows.

    Parameters
    ----------
    id
        The client's id of the request; None without one.
    outputs
        Name of each wanted tensor, and whether it is wanted as bytes; None for all.
    binary
        Whether the tensors are wanted as bytes, where `outputs` does not say.
    """

    id: str | None
    outputs: dict[str, bool] | None
    binary: bool


class Output(msgspec.Struct, frozen=True):
    """A tensor of an answer, its values in row-major order."""

    name: str
    datatype: str
    shape: list[int]
    values: Sequence[Any]


def asked_of(document: Mapping[str, Any]) -> Asked:
    """Read what a request says beside its rows.

    Raises
    ------
    BadData
        If the id or the list of outputs is none.

    Examples
    --------
    >>> asked_of({"id": "7", "outputs": [{"name": "prediction"}]})
    Asked(id='7', outputs={'prediction': False}, binary=False)
    """
    given = document.get("id")
    if given is not None and not (isinstance(given, str) and 0 < len(given) <= MOST_REQUEST_ID):
        raise BadData(f"The id is no text of 1 to {MOST_REQUEST_ID} characters.")
    binary = _parameter(document, "binary_data_output")
    wanted = document.get("outputs")
    if wanted is None:
        return Asked(given, None, binary)
    if not isinstance(wanted, list) or not all(
        isinstance(one, dict) and isinstance(one.get("name"), str) for one in wanted
    ):
        raise BadData("outputs is no list of objects with a name.")
    return Asked(
        given,
        {one["name"]: _parameter(one, "binary_data", default=binary) for one in wanted},
        binary,
    )


def _parameter(document: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    parameters = document.get("parameters")
    return bool(parameters.get(name, default)) if isinstance(parameters, dict) else default


def metadata(model: str, versions: Sequence[str], schema: Schema) -> dict[str, Any]:
    """Describe a model: its versions, and its tensors of a row or more.

    Examples
    --------
    >>> from driftgauge.shared.reference.feature import Feature
    >>> metadata("steel", ["1.0.0"], Schema((Feature("x", "numeric"),)))["inputs"]
    [{'name': 'x', 'datatype': 'FP64', 'shape': [-1]}]
    """
    inputs = [_tensor(feature.name, feature.kind == "numeric") for feature in schema.features]
    outputs = [_tensor(PREDICTION, schema.prediction == "numeric")]
    if schema.classes:
        shares = {"name": PROBABILITIES, "datatype": "FP64", "shape": [-1, len(schema.classes)]}
        outputs.append(shares)
    return {
        "name": model,
        "versions": list(versions),
        "platform": PLATFORM,
        "inputs": inputs,
        "outputs": outputs,
    }


def _tensor(name: str, numeric: bool) -> dict[str, Any]:  # noqa: FBT001  private, named by its caller
    return {"name": name, "datatype": "FP64" if numeric else TEXTS, "shape": [-1]}


def outputs_of(
    predictions: Sequence[Any], shares: Sequence[Sequence[float] | None], schema: Schema
) -> list[Output]:
    """Return the tensors of predictions, and of the probabilities if the model gave them."""
    rows = len(predictions)
    datatype = "FP64" if schema.prediction == "numeric" else TEXTS
    found = [Output(PREDICTION, datatype, [rows], predictions)]
    if schema.classes and all(one is not None for one in shares):
        flat = [share for one in shares if one is not None for share in one]
        found.append(Output(PROBABILITIES, "FP64", [rows, len(schema.classes)], flat))
    return found


def answer(
    name: Mapping[str, Any], outputs: Sequence[Output], asked: Asked
) -> tuple[bytes, int | None]:
    """Return the body of an answer, and the length of its JSON if tensors follow it as bytes.

    Parameters
    ----------
    name
        Model, version, id and parameters.

    Raises
    ------
    BadData
        If a tensor is wanted that the model does not give.

    Examples
    --------
    >>> answer({"id": "7"}, [Output("prediction", "FP64", [1], [2.5])], Asked("7", None, False))[0]
    b'{"id":"7","outputs":[{"name":"prediction","datatype":"FP64","shape":[1],"data":[2.5]}]}'
    """
    wanted = asked.outputs or {one.name: asked.binary for one in outputs}
    unknown = wanted.keys() - {one.name for one in outputs}
    if unknown:
        given = ", ".join(one.name for one in outputs)
        raise BadData(f"The model gives {given}, and no {', '.join(sorted(unknown))[:200]}.")
    tensors, parts = [], []
    for one in outputs:
        if one.name not in wanted:
            continue
        tensor: dict[str, Any] = {"name": one.name, "datatype": one.datatype, "shape": one.shape}
        if wanted[one.name]:
            parts.append(packed(one.values, one.datatype))
            tensor["parameters"] = {BINARY_SIZE: len(parts[-1])}
        else:
            tensor["data"] = list(one.values)
        tensors.append(tensor)
    document = msgspec.json.encode({**name, "outputs": tensors})
    return document + b"".join(parts), len(document) if parts else None
