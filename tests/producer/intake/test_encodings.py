"""Compressed request bodies: taken as if they were plain, and never more than a body may be."""

import gzip
import io
import json
import tracemalloc
from collections.abc import Callable

import pyarrow as pa
import pytest

from driftgauge.producer.app import create_app
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.intake.encodings import Coding, TooMuch, unpacked
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.producer.conftest import SCHEMA, Linear, publish, rows, running, serving
from tests.producer.routes.test_predict import problem

MEGABYTE = 1 << 20
PACKED: dict[Coding, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": lambda body: pa.compress(body, "zstd", asbytes=True),
}
CSV = {"Content-Type": "text/csv"}


def plain(packed: bytes, coding: Coding, most: int = MEGABYTE) -> bytes:
    return b"".join(unpacked(io.BytesIO(packed), coding, most))


@pytest.mark.parametrize("coding", list(PACKED))
def test_what_comes_out_is_bounded(coding: Coding) -> None:
    """The limit itself is taken, a byte more is not; a bomb of zeros costs the memory of a piece,
    not of what it holds.
    """
    pack = PACKED[coding]
    body = bytes(range(256)) * 4096
    assert plain(pack(body), coding) == body
    with pytest.raises(TooMuch):
        plain(pack(body + b"x"), coding)
    bomb = pack(bytes(64 * MEGABYTE))
    assert len(bomb) < MEGABYTE / 8
    tracemalloc.start()
    with pytest.raises(TooMuch):
        plain(bomb, coding)
    assert tracemalloc.get_traced_memory()[1] < 4 * MEGABYTE
    tracemalloc.stop()


@pytest.mark.parametrize("coding", list(PACKED))
def test_what_is_cut_off_or_no_such_thing_is_refused(coding: Coding) -> None:
    """A body that ends too early is not taken for a shorter one."""
    packed = PACKED[coding](b"x,y\n" + b"1,2\n" * 1000)
    for wrong in (packed[:-1], packed[: len(packed) // 2], b"x,y\n1,2\n"):
        with pytest.raises(Problem) as told:
            plain(wrong, coding)
        assert told.value.status == 400
        assert "Content-Encoding" in told.value.detail
    assert plain(gzip.compress(b"a") + gzip.compress(b"b"), "gzip") == b"ab"


@pytest.mark.anyio
@pytest.mark.parametrize("coding", list(PACKED))
async def test_every_route_takes_compressed_bodies(
    registry: ModelRegistry, settings: Settings, coding: Coding
) -> None:
    """JSON and CSV, one row or many, events and labels: the answer is that of the plain body."""
    publish(registry, "linear", SCHEMA, rows(), Linear(2, 1), labels=True)
    asked: list[tuple[str, dict[str, str], bytes]] = [
        ("/predict", {}, json.dumps({"features": {"x": 1, "y": 1}}).encode()),
        ("/predict_batch", {}, json.dumps([{"x": 1, "y": 1}, {"x": 4, "y": "bad"}]).encode()),
        ("/predict_batch", CSV, b"x,y\n1,1\n4,4\n"),
        (
            "/events",
            {},
            json.dumps({"features": {"x": 1, "y": 1}, "prediction": 3, "id": "a"}).encode(),
        ),
        ("/labels", {}, json.dumps([{"prediction_id": "a", "label": 1}]).encode()),
        ("/labels", CSV, b"prediction_id,label\na,1\n"),
    ]
    async with serving(settings) as http:
        for path, headers, body in asked:
            expected = await http.post(path, content=body, headers=headers)
            packed = {**headers, "Content-Encoding": coding}
            found = await http.post(path, content=PACKED[coding](body), headers=packed)
            assert found.status_code == expected.status_code < 300, (path, found.text)
            assert shape(found.text) == shape(expected.text)


def shape(text: str) -> str:
    """Return an answer without what is made anew for each: ids have digits, as numbers have."""
    return "".join(letter for letter in text if letter not in "0123456789abcdef-")


@pytest.mark.anyio
async def test_bombs_and_unknown_codings_are_refused(
    registry: ModelRegistry, settings: Settings
) -> None:
    """What unpacks to more than a route takes is 413, before it is read as anything; a coding that
    is not known is 415 and says which are; and the description of the API names both.
    """
    publish(registry, "linear", SCHEMA, rows(), labels=True)
    small = {f"{name}_max_bytes": 100_000 for name in ("predict", "events", "batch")}
    bomb = gzip.compress(b"x,y\n" + b"1,1\n" * 100_000)
    async with running(create_app(settings.model_copy(update=small))) as http:
        document = (await http.get("/openapi.json")).json()["paths"]
        for path in ("/predict", "/predict_batch", "/events", "/labels"):
            headers = {**CSV, "Content-Encoding": "gzip"}
            problem(await http.post(path, content=bomb, headers=headers), 413)
            for other in ("br", "gzip, gzip", "deflate"):
                refused = await http.post(path, content=b"{}", headers={"Content-Encoding": other})
                problem(refused, 415)
                assert refused.headers["accept-encoding"] == "gzip, zstd"
            described = document[path]["post"]
            assert {"413", "415"} <= described["responses"].keys()
            (coding,) = [one for one in described["parameters"] if one["in"] == "header"][:1]
            assert coding["name"] == "Content-Encoding"
