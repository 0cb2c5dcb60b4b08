"""The request of the README's curl line."""

import json
from pathlib import Path

from models.steel import train


def test_the_sample_request_fits_the_schema() -> None:
    """The request beside the model is one that the API takes: every feature, each of its kind and in its range."""
    path = Path(train.__file__).with_name("sample_request.json")
    request = json.loads(path.read_text())
    values, errors = train.SCHEMA.positional(request["features"])
    assert errors == []
    assert len(values) == len(train.SCHEMA.features)
    assert request["model"] == "steel"
