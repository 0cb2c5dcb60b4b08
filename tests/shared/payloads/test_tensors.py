"""Tensors of the Open Inference Protocol, as JSON and as bytes."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.shared.errors import BadData
from driftgauge.shared.payloads.tensors import NUMBERS, packed, read_tensors, split


def named(datatype: str, shape: list[int], size: int) -> dict[str, Any]:
    parameters = {"binary_data_size": size}
    return {"name": "x", "shape": shape, "datatype": datatype, "parameters": parameters}


@given(
    st.lists(st.text(max_size=20), min_size=1, max_size=5),
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=5),
)
def test_bytes_after_the_document_are_read_back(texts: list[str], numbers: list[float]) -> None:
    """Texts of any characters and numbers come back as they were, whether the length of the
    document is told or found.
    """
    parts = [packed(texts, "BYTES"), packed(numbers, "FP32")]
    inputs = [
        named("BYTES", [len(texts)], len(parts[0])),
        named("FP32", [len(numbers), 1], len(parts[1])),
    ]
    document = msgspec.json.encode({"inputs": inputs, "id": 'ä"}{'})
    for length in (len(document), None):
        found, binary = split(document + b"".join(parts), length)
        tensors = read_tensors(found["inputs"], binary)
        assert [one.values for one in tensors] == [texts, numbers]


@pytest.mark.parametrize("datatype", NUMBERS)
def test_every_datatype_of_numbers(datatype: str) -> None:
    """0 and 1 come back from each of the protocol's types."""
    content = packed([0, 1], datatype)
    (tensor,) = read_tensors([named(datatype, [2], len(content))], content)
    assert tensor.values == [0, 1]


def test_nan_in_bytes_is_missing() -> None:
    """A tensor of bytes has no null, so NaN stands for what is missing."""
    content = packed([1.5, float("nan")], "FP64")
    assert read_tensors([named("FP64", [2], 16)], content)[0].values == [1.5, None]


def test_nested_data_is_flattened() -> None:
    """JSON data may be nested as its shape is, or flat."""
    nested = {"name": "x", "shape": [2, 2], "datatype": "INT32", "data": [[1, 2], [3, 4]]}
    assert read_tensors([nested], b"") == read_tensors([{**nested, "data": [1, 2, 3, 4]}], b"")


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        ({"shape": [1]}, "Tensor 0 has no name"),
        ({"name": "x", "shape": [-1], "datatype": "FP32"}, "its shape is no list"),
        ({"name": "x", "shape": [1], "datatype": "FLOAT"}, "its datatype is none of"),
        ({"name": "x", "shape": [1], "datatype": "FP32"}, "neither data nor"),
        ({"name": "x", "shape": [2], "datatype": "FP32", "data": [1]}, "1 values, and its shape 2"),
        ({"name": "x", "shape": [10**9], "datatype": "INT8", "data": []}, "more than 10,000,000"),
        (named("FP32", [1], 9), "9 bytes are said to follow, and 4 do"),
        (named("BYTES", [1], 4), "a text goes on behind the end"),
        (named("FP32", [1], 3), "Tensor 'x'"),
    ],
)
def test_a_tensor_that_is_none_is_named(tensor: dict[str, Any], said: str) -> None:
    """The message says which tensor, and what is wrong."""
    with pytest.raises(BadData, match=said):
        read_tensors([tensor], b"\x09\x00\x00\x00")


def test_bytes_that_no_tensor_names_are_refused() -> None:
    """Whatever follows belongs to a tensor: nothing is passed over in silence."""
    tensor = {"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}
    with pytest.raises(BadData, match="2 bytes follow the last tensor"):
        read_tensors([tensor], b"ab")
