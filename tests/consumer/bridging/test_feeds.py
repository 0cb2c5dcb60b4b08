"""The same rows by three ways: a model server's logger, Kafka, and a folder of Parquet files."""

import asyncio
import json
import random
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import redis
from click.testing import CliRunner

from driftgauge.consumer.bridging.decoding import decode_json
from driftgauge.consumer.bridging.kafka import KafkaBridge
from driftgauge.consumer.counting.panes.open_pane import OpenPane
from driftgauge.producer.commands.replay import replay
from driftgauge.shared.contract import pane
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.consumer.bridging.test_kafka import Kafka
from tests.integration.plant import counters, worker_thread
from tests.producer.conftest import api_process, publish_linear, serving, until

pytestmark = [pytest.mark.anyio, pytest.mark.long]

MODEL = "linear"
ROWS = 10_000
A_REQUEST, A_BATCH = 20, 100
"""Rows that the service predicts at once, and events that its logger's batch has."""
BATCH = {"content-type": "application/cloudevents-batch+json"}


def halves(values: np.ndarray) -> list[dict[str, Any]]:
    """Return what a logger sends of the rows: requests and responses, in any order, some twice."""
    found = []
    for number, start in enumerate(range(0, ROWS, A_REQUEST)):
        part = values[start : start + A_REQUEST]
        bodies = {
            "request": {"instances": part.tolist()},
            "response": {"predictions": (2 * part[:, 0] + part[:, 1]).tolist()},
        }
        found += [
            {
                "id": f"r{number}",
                "source": "/service",
                "specversion": "1.0",
                "type": f"org.kubeflow.serving.inference.{kind}",
                "inferenceservicename": MODEL,
                "data": body,
            }
            for kind, body in bodies.items()
        ]
    draw = random.Random(2)
    found += draw.sample(found, 50)
    draw.shuffle(found)
    return found


def batches(events: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(events), A_BATCH):
        yield events[start : start + A_BATCH]


def cells(client: redis.Redis, keys: Keys) -> list[int]:
    """Sum the counts of features and predictions over the closed panes and the open one."""
    blocks = []
    entries: Any = client.xrange(keys.panes(MODEL, 0))
    for _, fields in entries:
        found = pane.decode(fields[pane.FIELD])
        if isinstance(found, pane.Pane):
            blocks += [pane.unpack_counts(one.cells) for one in found.blocks.values()]
    packed: Any = client.hget(keys.count(MODEL, 0), "pane")
    if packed:
        blocks += [one.cells for one in OpenPane.unpack(packed).blocks.values()]
    total: list[int] = np.sum(blocks, axis=0).tolist()
    return total


async def test_the_windows_are_equal_cell_by_cell(
    redis_url: str, prefix: str, client: redis.Redis, tmp_path: Path
) -> None:
    """10,000 rows as KServe's halves, as messages and as files: each is counted once, by the same
    cells.
    """
    publish_linear(ModelRegistry(tmp_path / "registry"))
    values = np.random.default_rng(1).normal(size=(ROWS, 2)).round(3)
    table = pd.DataFrame(values, columns=["x", "y"]).assign(score=2 * values[:, 0] + values[:, 1])
    found = []
    for way in ("logger", "kafka", "files"):
        settings = Settings(
            redis_url=redis_url,
            key_prefix=f"{prefix}-{way}",
            registry_dir=tmp_path / "registry",
            data_dir=tmp_path / way,
            commit_ms=50,
        )
        keys = Keys(settings.key_prefix)
        with worker_thread(settings.model_dump()):
            if way == "logger":
                async with serving(settings) as http:
                    for batch in batches(halves(values)):
                        answer = await http.post("/cloudevents", json=batch, headers=BATCH)
                        assert (answer.status_code, answer.json()["rejected"]) == (200, [])
            elif way == "kafka":
                kafka, stop = Kafka(), threading.Event()
                messages = table.rename(columns={"score": "prediction"}).to_dict("records")
                kafka.send("scores", [json.dumps(one).encode() for one in messages])
                config = {"bootstrap.servers": kafka.brokers}
                topics: Any = {"scores": "predictions"}
                bridge = KafkaBridge(settings, MODEL, config, topics, decode_json, stop)
                bridge.run(until_end=True)
            else:
                folder = tmp_path / "rows"
                folder.mkdir()
                for number in range(4):
                    table[number::4].to_parquet(folder / f"{number}.parquet")
                with api_process(settings, tmp_path) as (url, _):
                    files = [str(path) for path in sorted(folder.iterdir())]
                    options = ["--model", MODEL, "--prediction-column", "score", "--url", url]
                    call = partial(CliRunner().invoke, replay, [*files, *options])
                    result = await asyncio.to_thread(call)
                    assert result.exit_code == 0, result.output
            await until(lambda keys=keys: counters(client, keys, MODEL).events >= ROWS)
        counted = counters(client, keys, MODEL)
        assert (counted.events, counted.dead, counted.missing) == (ROWS, 0, 0)
        found.append(cells(client, keys))
    assert found[0] == found[1] == found[2]
    assert sum(found[0]) == 3 * ROWS  # two features and the prediction
