import json
import time

import httpx
import numpy as np
import pytest

from driftgauge.models.common.late_labels import LABELS, LateLabels
from driftgauge.shared.errors import BadData

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def labels_to(
    answer: httpx.Response | None = None,
) -> tuple[LateLabels, list[list[dict[str, object]]]]:
    """Return labels, and the bodies of the requests that they make."""
    bodies: list[list[dict[str, object]]] = []

    def take(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/labels"
        assert request.url.params["model"] == "steel"
        bodies.append(json.loads(request.content))
        return answer or httpx.Response(202, json={"accepted": len(bodies[-1]), "rejected": []})

    client = httpx.AsyncClient(base_url="http://api", transport=httpx.MockTransport(take))
    return LateLabels(client, "steel", 10.0, np.random.default_rng(0)), bodies


async def test_no_label_is_posted_before_its_time_and_each_once() -> None:
    """By a moment all labels that are due then were posted, in the order of their times; in the end
    every one.
    """
    labels, bodies = labels_to()
    before = time.monotonic()
    labels.keep([f"p{place}" for place in range(2000)], [float(place) for place in range(2000)])
    await labels.post(before)
    assert bodies == []
    await labels.post(before + 10.0)
    first = sum(map(len, bodies))
    assert first / 2000 == pytest.approx(
        1 - np.exp(-1), abs=0.05
    )  # the delays are exponential, of mean 10 s
    await labels.post()
    posted = [one for body in bodies for one in body]
    assert max(map(len, bodies)) == LABELS
    assert sorted((one["prediction_id"], one["label"]) for one in posted) == sorted(
        (f"p{n}", float(n)) for n in range(2000)
    )
    assert labels.accepted == 2000


async def test_an_unknown_true_value_is_never_posted() -> None:
    """A row without a label costs no request."""
    labels, bodies = labels_to()
    labels.keep(["a", "b"], [None, "late"])
    await labels.post()
    assert bodies == [[{"prediction_id": "b", "label": "late"}]]


async def test_rejected_labels_are_counted_by_their_reason() -> None:
    """What the API does not take is told apart from what it takes."""
    rejected = [{"index": 0, "reason": "no such prediction"}]
    labels, _ = labels_to(httpx.Response(202, json={"accepted": 1, "rejected": rejected}))
    labels.keep(["a", "b"], [1.0, 2.0])
    await labels.post()
    assert (labels.accepted, labels.rejected) == (1, {"no such prediction": 1})


async def test_a_refused_request_is_an_error() -> None:
    """The caller decides whether it goes on without labels."""
    labels, _ = labels_to(httpx.Response(404, json={"detail": "There is no model steel."}))
    labels.keep(["a"], [1.0])
    with pytest.raises(BadData, match="no model steel"):
        await labels.post()
