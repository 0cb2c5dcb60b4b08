"""Files through a running API and worker: predictions with ids, labels that find them, and what is
not joined.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
import redis
from click.testing import CliRunner, Result

from driftgauge.producer.commands import replaying
from driftgauge.producer.commands.labels import labels
from driftgauge.producer.commands.replay import replay
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import ServiceUnavailable
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.integration.plant import counters, settings_of, worker_thread
from tests.producer.conftest import SCHEMA, api_process, publish, rows

ROWS = 300


@pytest.fixture
def url(redis_url: str, keys: Keys, tmp_path: Path) -> Iterator[str]:
    """An API and a worker with a regression that takes labels."""
    registry = ModelRegistry(tmp_path / "registry")
    publish(registry, "linear", SCHEMA, rows(), labels=True)
    settings = Settings(
        redis_url=redis_url,
        key_prefix=keys.prefix,
        registry_dir=registry.folder,
        data_dir=tmp_path / "data",
    )
    with (
        worker_thread(settings_of(redis_url, keys)),
        api_process(settings, tmp_path) as (address, _),
    ):
        yield address


def truth(folder: Path, **columns: list[object]) -> Path:
    path = folder / "truth.parquet"
    pd.DataFrame(columns).to_parquet(path)
    return path


def test_labels_join_by_id_and_by_key(url: str, tmp_path: Path) -> None:
    """Rows are replayed with the API's own ids, which are written out with the rows' columns;
    labels of another file find them by one of these. Those of unknown keys and unknown ids are
    counted, and make the exit code.
    """
    random = np.random.default_rng(1)
    file, output = tmp_path / "rows.jsonl", tmp_path / "posted.csv"
    frame = pd.DataFrame({"x": random.normal(size=ROWS), "y": random.normal(size=ROWS)})
    frame = frame.assign(made=frame.x, order=[f"o-{place}" for place in range(ROWS)])
    frame.to_json(file, orient="records", lines=True)

    def import_(path: Path, *options: str) -> tuple[Result, dict[str, object]]:
        arguments = ["import", str(path), "--model", "linear", "--url", url, "--json", *options]
        result = CliRunner().invoke(labels, arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        return result, msgspec.json.decode(result.stdout)

    where = [str(file), "--model", "linear", "--url", url, "--output", str(output)]
    posted = CliRunner().invoke(
        replay, [*where, "--prediction-column", "made", "--per-day", "1000"]
    )
    assert posted.exit_code == 0, posted.output
    by_key = ["--predictions", str(output), "--id-column", "order", "--label-column", "z"]
    known = truth(tmp_path, order=list(frame.order[:200]), z=[1.5] * 200)
    result, told = import_(known, *by_key)
    assert (result.exit_code, told["accepted"]) == (0, 200)
    assert told["became"]["joined"] == 200  # type: ignore[index]
    other = truth(tmp_path, order=["o-250", "nobody", "nobody else"], z=[1.0, 2.0, 3.0])
    result, told = import_(other, *by_key)
    assert (result.exit_code, told["accepted"], told["unmatched"]) == (3, 1, 2)
    strange = truth(tmp_path, prediction_id=["a", "b"], label=[1.0, 2.0])
    result, told = import_(strange)
    assert (result.exit_code, told["accepted"], told["rejected"]) == (3, 2, 0)
    assert told["became"]["early"] == 2  # type: ignore[index]


def test_several_files_and_standard_input(url: str, tmp_path: Path) -> None:
    """Rows of a Parquet file and of standard input are posted as one file's, and their labels of
    two files join them; files of other columns are refused before anything is posted.
    """
    frame = pd.DataFrame({"x": [1.0] * 40, "y": [2.0] * 40, "made": [4.0] * 40})
    frame["order"] = [f"n-{place}" for place in range(40)]
    frame.head(30).to_parquet(tmp_path / "rows.parquet")
    lines = frame.tail(10).to_json(orient="records", lines=True)
    posting = ["--model", "linear", "--url", url, "--prediction-column", "made", "--json"]
    given = [str(tmp_path / "rows.parquet"), "-", *posting, "--id-column", "order"]
    done = CliRunner().invoke(replay, given, input=lines)
    assert done.exit_code == 0, done.output
    assert msgspec.json.decode(done.stdout.splitlines()[-1])["posted"] == 40
    truths = []
    for number, part in enumerate((frame.head(15), frame.tail(25))):
        path = tmp_path / f"truth{number}.csv"
        part.assign(label=3.0)[["order", "label"]].to_csv(path, index=False)
        truths.append(str(path))
    done = CliRunner().invoke(
        labels,
        ["import", *truths, "--model", "linear", "--url", url, "--id-column", "order", "--json"],
    )
    assert done.exit_code == 0, done.output
    told = msgspec.json.decode(done.stdout)
    assert (told["accepted"], told["became"]["joined"]) == (40, 40)
    frame.drop(columns="order").to_csv(tmp_path / "other.csv", index=False)
    done = CliRunner().invoke(
        replay, [str(tmp_path / "rows.parquet"), str(tmp_path / "other.csv"), *posting]
    )
    assert "has other columns than the first one: order" in str(done.exception)


def test_a_replay_goes_on_where_it_stopped(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: Keys, client: redis.Redis
) -> None:
    """A replay with --resume that breaks off in the middle goes on with the same command, whether
    the worker has counted what arrived or not: each row is counted once, and none is missed.
    """
    frame = pd.DataFrame({"x": [1.0] * 1200, "y": [2.0] * 1200, "made": [4.0] * 1200})
    frame["at"] = pd.date_range("2026-01-01", periods=1200, freq="min").astype(str)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    arguments = [
        str(tmp_path / "rows.csv"),
        "--model",
        "linear",
        "--url",
        url,
        "--resume",
        "--json",
    ]
    arguments += ["--prediction-column", "made", "--time-column", "at"]
    asked = replaying.ask
    left = iter(range(2))

    async def breaking(*given: Any, **more: Any) -> Any:
        if next(left, None) is None:
            raise ServiceUnavailable("gone")
        return await asked(*given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(replaying, "ask", breaking)
        done = CliRunner().invoke(replay, arguments)
    assert isinstance(done.exception, ServiceUnavailable)

    def count() -> int:
        done = CliRunner().invoke(replay, arguments)
        assert done.exit_code == 0, done.output
        return int(msgspec.json.decode(done.stdout.splitlines()[-1])["posted"])

    assert 200 <= count() <= 1200
    deadline = time.monotonic() + 60
    while count() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert count() == 0
    assert counters(client, keys, "linear").events == 1200
