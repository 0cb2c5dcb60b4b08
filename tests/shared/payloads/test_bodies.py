"""The forms of requests and answers: each says the same."""

import json
from typing import Any

import pytest

from driftgauge.shared.errors import BadData
from driftgauge.shared.payloads.bodies import Answer, answers_of, rows_of
from driftgauge.shared.reference.schema import Feature, Schema

SCHEMA = Schema(
    (Feature("x", "numeric"), Feature("y", "numeric")),
    "categorical",
    target="sort",
    classes=("a", "b"),
)
ROWS = [{"x": 1.0, "y": 2.0}, {"x": 3.0, "y": 4.0}]


def tensor(name: str, shape: list[int], *data: Any) -> dict[str, Any]:
    kind = "BYTES" if isinstance(data[0], str) else "FP64"
    return {"name": name, "shape": shape, "datatype": kind, "data": list(data)}


@pytest.mark.parametrize(
    "body",
    [
        {"instances": [[1.0, 2.0], {"y": 4.0, "x": 3.0}]},
        {"inputs": [tensor("whatever", [2, 2], 1.0, 2.0, 3.0, 4.0)]},
        {"inputs": [tensor("y", [2], 2.0, 4.0), tensor("x", [2, 1], 1.0, 3.0)]},
        {"dataframe_records": ROWS},
        {"dataframe_split": {"columns": ["y", "x"], "data": [[2.0, 1.0], [4.0, 3.0]]}},
        {"data": {"names": ["y", "x"], "ndarray": [[2.0, 1.0], [4.0, 3.0]]}},
        {"data": {"names": ["f0", "f1"], "tensor": {"shape": [2, 2], "values": [1, 2, 3, 4]}}},
    ],
    ids=lambda body: next(iter(body)),
)
def test_every_form_of_a_request(body: dict[str, Any]) -> None:
    """The rows are the same, whoever asks."""
    assert rows_of(json.dumps(body).encode(), SCHEMA) == ROWS


@pytest.mark.parametrize(
    "body",
    [
        {"predictions": [[0.75, 0.25], {"sort": "b", "probabilities": [0.5, 0.5]}]},
        {
            "outputs": [
                tensor("predict_proba", [2, 2], 0.75, 0.25, 0.5, 0.5),
                tensor("sort", [2], "a", "b"),
            ]
        },
    ],
    ids=["V1", "V2"],
)
def test_every_form_of_an_answer(body: dict[str, Any]) -> None:
    """Prediction and probabilities of each row."""
    expected = [Answer("a", [0.75, 0.25]), Answer("b", [0.5, 0.5])]
    assert answers_of(json.dumps(body).encode(), SCHEMA) == expected


def test_a_tensor_beside_the_prediction_is_passed_over() -> None:
    """Of several tensors of one value a row, the one named as the target is the prediction."""
    body = {"outputs": [tensor("weight", [1], 9.0), tensor("sort", [1], "a")]}
    assert answers_of(json.dumps(body).encode(), SCHEMA) == [Answer("a")]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "no object"),
        ({"rows": []}, "neither inputs"),
        ({"instances": {"x": 1}}, "no list"),
        ({"instances": [[1]]}, "Row 0 has 1 values; the model has 2 features"),
        ({"inputs": []}, "no list of tensors"),
        ({"inputs": [tensor("x", [1], 1.0), tensor("y", [2], 1.0, 2.0)]}, "different numbers"),
        ({"dataframe_split": {"columns": [1, 2], "data": []}}, "something else than text"),
        ({"dataframe_split": {"columns": ["x"], "data": [[1, 2]]}}, "another length"),
        ({"data": {"ndarray": 7}}, "neither a list ndarray"),
    ],
)
def test_a_request_of_no_form(body: Any, said: str) -> None:
    """The message says what was expected."""
    with pytest.raises(BadData, match=said):
        rows_of(json.dumps(body).encode(), SCHEMA)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"answer": 1}, "neither outputs"),
        ({"predictions": [[1, 2, 3]]}, "3 values are answered for one row"),
        ({"outputs": [tensor("p", [1], 1.0), tensor("q", [1], 2.0)]}, "Which of the tensors p, q"),
    ],
)
def test_an_answer_of_no_form(body: Any, said: str) -> None:
    """The message says what was expected."""
    with pytest.raises(BadData, match=said):
        answers_of(json.dumps(body).encode(), SCHEMA)
