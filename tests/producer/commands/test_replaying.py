import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pandas as pd
import pytest
import redis
from click.testing import CliRunner, Result

from driftgauge.producer.commands.replay import replay
from driftgauge.producer.commands.replaying import BATCH, post, times_of
from driftgauge.shared.contract.events import Prediction
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import BadData, ServiceUnavailable


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    numbers = range(1200)
    frame = pd.DataFrame({"x": [number / 100 for number in numbers], "y": 1, "z": 2.5, "note": "n"})
    frame["when"] = [f"2025-01-01 {number // 60:02d}:{number % 60:02d}" for number in numbers]
    frame.to_csv(path, index=False)
    return path


def run(url: str, file: Path, *options: str) -> Result:
    return CliRunner().invoke(replay, [str(file), "--model", "linear", "--url", url, *options])


def log(client: redis.Redis, keys: Keys) -> list[Prediction]:
    entries: Any = client.xrange(keys.log("linear", 0))
    return [msgspec.json.decode(fields[b"e"], type=Prediction) for _, fields in entries]


@pytest.mark.usefixtures("linear")
def test_events_with_their_times(api: str, client: redis.Redis, keys: Keys, file: Path) -> None:
    """A file's rows arrive in its order, with their times (UTC without a zone); extra columns are
    named.
    """
    result = run(api, file, "--prediction-column", "z", "--time-column", "when")
    assert result.exit_code == 0, result.output
    assert "Posted 1200 events" in result.output
    assert "note" in result.output
    events = log(client, keys)
    assert [event.features[0] for event in events] == [number / 100 for number in range(1200)]
    assert [event.time for event in events[:2]] == [1735689600000, 1735689660000]
    assert {event.prediction for event in events} == {2.5}


def test_events_that_the_api_refuses_are_said() -> None:
    """When the API takes a part of a request, the rest is named by its place in the file, and what
    follows is posted all the same.
    """
    sizes: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        events = json.loads(request.content)
        sizes.append(len(events))
        bad = [{"index": 3, "reason": "features/x is missing"}] if len(sizes) == 2 else []
        return httpx.Response(202, json={"accepted": len(events) - len(bad), "rejected": bad})

    async def run_it() -> None:
        transport = httpx.MockTransport(answer)
        async with httpx.AsyncClient(base_url="http://api", transport=transport) as http:
            events = [{"features": {}} for _ in range(3 * BATCH)]
            await post(http, events, "events", 0, lambda _: None)

    with pytest.raises(BadData) as caught:
        asyncio.run(run_it())
    expected = f"refused 1 of {3 * BATCH} events: event {BATCH + 4}: features/x is missing."
    assert expected in str(caught.value)
    assert sizes == [BATCH] * 3


@pytest.mark.usefixtures("linear")
def test_predict_shuffled(api: str, client: redis.Redis, keys: Keys, file: Path) -> None:
    """As predictions, shuffled by a seed, limited and paced: each row once, predicted by the
    model.
    """
    result = run(api, file, "--as", "predict", "--shuffle", "3", "--limit", "100", "--rate", "1000")
    assert result.exit_code == 0, result.output
    events = log(client, keys)
    rows = [event.features[0] for event in events]
    assert rows != sorted(rows, key=float)  # type: ignore[arg-type]
    assert sorted(rows, key=float) == [number / 100 for number in range(100)]  # type: ignore[arg-type]
    assert all(event.latency_ms is not None for event in events)


@pytest.mark.usefixtures("linear")
def test_a_file_that_does_not_fit_is_refused_whole(
    api: str, client: redis.Redis, keys: Keys, file: Path, tmp_path: Path
) -> None:
    """Missing columns, bad values and bad times are named before anything is posted."""
    frame = pd.read_csv(file)
    broken = tmp_path / "broken.csv"

    def refusal(frame: pd.DataFrame, *options: str) -> str:
        frame.to_csv(broken, index=False)
        result = run(api, broken, *options)
        assert isinstance(result.exception, BadData)
        return str(result.exception)

    missing = refusal(frame.drop(columns=["x", "y"]), "--prediction-column", "p")
    assert all(f"'{name}'" in missing for name in ("x", "y", "p"))
    assert "--prediction-column" in refusal(frame)
    frame.loc[700, "x"] = 1000
    frame.loc[900, "y"] = None
    values = refusal(frame, "--prediction-column", "z")
    assert "row 701, x is above" in values
    assert "row 901, y is missing" in values
    frame = pd.read_csv(file)
    frame.loc[10, "when"] = "soon"
    assert "Row 11" in refusal(frame, "--prediction-column", "z", "--time-column", "when")
    frame["x"] = "s"
    assert "'x'" in refusal(frame, "--prediction-column", "z")
    assert log(client, keys) == []


def test_no_api(file: Path) -> None:
    """Without an API there is one clear error."""
    result = run("http://127.0.0.1:9", file)
    assert isinstance(result.exception, ServiceUnavailable)
    assert "driftgauge serve" in str(result.exception)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file that is not there is named."""
    result = run("http://127.0.0.1:9", tmp_path / "none.csv")
    assert isinstance(result.exception, BadData)
    assert "none.csv" in str(result.exception)


def test_day_first_times() -> None:
    """Day-first files are told by the whole column, never row by row."""
    series = pd.Series([f"{day:02d}/03/2018 00:15" for day in range(1, 32)])
    assert [pd.Timestamp(moment, unit="ms").day for moment in times_of(series)] == list(
        range(1, 32)
    )
