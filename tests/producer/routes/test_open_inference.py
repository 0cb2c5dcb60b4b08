"""The Open Inference Protocol, as a public client (Triton's) speaks it with a real server."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import redis
import tritonclient.http as triton

from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.producer.conftest import api_process
from tests.producer.routes.logged.test_cloudevents import logged


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(5).normal(size=(7, 2)).round(3)


@pytest.fixture
def server(settings: Settings, linear: ModelRegistry, tmp_path: Any) -> Iterator[Any]:
    """A client of a server that serves z = 2x + y."""
    assert linear
    with api_process(settings, tmp_path) as (url, _), triton.InferenceServerClient(url[7:]) as http:
        yield http


def tensors(rows: np.ndarray, *, binary: bool, one: bool) -> list[Any]:
    """Make the inputs: one tensor of all features, or one for each."""
    parts = {"input-0": rows} if one else {"y": rows[:, 1], "x": rows[:, 0]}
    found = []
    for name, values in parts.items():
        found.append(triton.InferInput(name, list(values.shape), "FP64"))
        found[-1].set_data_from_numpy(values, binary_data=binary)
    return found


def test_a_client_of_the_protocol_works_unchanged(
    server: Any, settings: Settings, client: redis.Redis, rows: np.ndarray
) -> None:
    """Health, metadata and predictions, in JSON and in bytes, by one tensor or one a feature; each
    row is an event, by the request's id.
    """
    assert server.is_server_live()
    assert server.is_server_ready()
    assert server.is_model_ready("linear")
    assert server.is_model_ready("linear", "1.0.0")
    assert server.get_server_metadata()["name"] == "driftgauge"
    described = server.get_model_metadata("linear")
    assert [one["name"] for one in described["inputs"]] == ["x", "y"]
    expected = 2 * rows[:, 0] + rows[:, 1]
    for number, (binary, one) in enumerate([(True, True), (False, True), (True, False)]):
        wanted = [triton.InferRequestedOutput("prediction", binary_data=binary)] * (number < 2)
        found = server.infer(
            "linear",
            tensors(rows, binary=binary, one=one),
            request_id=f"r{number}",
            outputs=wanted or None,
        )
        assert found.get_response()["id"] == f"r{number}"
        assert found.as_numpy("prediction") == pytest.approx(expected)
    events = logged(client, Keys(settings.key_prefix))
    assert set(events) == {f"r{number}:{row}" for number in range(3) for row in range(7)}
    assert events["r1:3"].prediction == pytest.approx(expected[3])
    assert events["r1:3"].features == rows[3].tolist()


def test_errors_are_told_as_clients_expect(server: Any, rows: np.ndarray) -> None:
    """What is wrong stands in the member `error`, which the client raises."""
    good = tensors(rows, binary=True, one=True)
    with pytest.raises(triton.InferenceServerException, match="There is no model 'none'"):
        server.infer("none", good)
    with pytest.raises(triton.InferenceServerException, match="The model gives prediction"):
        server.infer("linear", good, outputs=[triton.InferRequestedOutput("shares")])
    with pytest.raises(triton.InferenceServerException, match="Row 0 has 1 values"):
        server.infer("linear", tensors(rows[:, :1], binary=True, one=True))
    with pytest.raises(
        triton.InferenceServerException, match="/inputs/0/x is above the declared maximum 100"
    ):
        server.infer("linear", tensors(rows + 1000, binary=False, one=True))
