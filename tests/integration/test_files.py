"""Files through a running API and worker: predictions with ids, labels that find them, and what is
not joined.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from driftgauge.producer.commands.labels import labels
from driftgauge.producer.commands.replay import replay
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.integration.plant import settings_of, worker_thread
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
