"""Tables of batch jobs are logged row by row, whatever library holds them."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from driftgauge.client import Monitor, sender
from driftgauge.client.frames import PIECE
from tests.client.fake_api import Asked, FakeApi, fake_api, taken


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as found:
        yield found


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "IDLE_S", 0.02)


ROWS = 2 * PIECE + 5
TABLE = {
    "x": [float(place) for place in range(ROWS)],
    "c": ["a", None] * (ROWS // 2) + ["a"],
    "made": [place % 7 for place in range(ROWS)],
    "key": [f"row-{place}" for place in range(ROWS)],
}
FRAMES = {
    "pandas": lambda: pd.DataFrame(TABLE, index=range(ROWS, 0, -1)),
    "polars": lambda: pl.DataFrame(TABLE),
    "pyarrow": lambda: pa.table(TABLE),
    "mappings": lambda: (
        dict(zip(TABLE, row, strict=True)) for row in zip(*TABLE.values(), strict=True)
    ),
}


@pytest.mark.parametrize("library", FRAMES)
def test_every_row_is_logged_once(api: FakeApi, library: str) -> None:
    """Columns or values beside the table are prediction and id; the rest are the features; when it
    returns, all is with the API, and its true values come in the same way.
    """
    told: list[tuple[int, int | None]] = []
    values = pd.Series(TABLE["made"], index=range(7, ROWS + 7))
    with Monitor(api.url, "steel", queue_events=500) as monitor:
        ids = monitor.log_frame(
            FRAMES[library](),
            "made" if library != "pandas" else values,
            id="key",
            features=["x", "c"],
            progress=lambda done, total: told.append((done, total)),
        )
        assert ids == TABLE["key"]
        assert monitor.stats["sent"] == ROWS
        assert monitor.label_frame(FRAMES[library](), "key", "made") == ROWS
    events = {item["id"]: item for item in api.events()}
    assert len(api.events()) == len(events) == ROWS
    assert events["row-2003"]["features"] == {"x": 2003.0, "c": None}
    assert [events[name]["prediction"] for name in ids] == TABLE["made"]
    labels = [item for one in api.asked if one.path == "/labels" for item in one.items]
    assert {item["prediction_id"]: item["label"] for item in labels} == dict(
        zip(TABLE["key"], TABLE["made"], strict=True)
    )
    assert told[-1] == (ROWS, None if library == "mappings" else ROWS)


def test_an_api_that_is_silent_is_waited_for_as_long_as_told() -> None:
    """Then what finds no room is dropped, and counted."""
    silent = threading.Event()

    def answer(asked: Asked) -> Any:
        silent.wait(60)
        return taken(asked)

    with fake_api(answer) as api:
        monitor = Monitor(api.url, "steel", queue_events=100)
        begun = time.monotonic()
        ids = monitor.log_frame([{"x": 1, "p": 1}] * 300, "p", wait_s=0.3)
        assert 0.3 <= time.monotonic() - begun < 30
        assert len(ids) == 300
        assert monitor.stats["dropped"] == {"queue_full": 200}
        silent.set()
        monitor.close()


def test_progress_is_a_line_a_second(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    """A person sees the rows that are done, of how many, and how fast."""
    with Monitor(api.url, "steel") as monitor:
        monitor.log_frame(pd.DataFrame({"x": [1, 2], "p": [3, 4]}), "p", progress=True)
    assert capsys.readouterr().err.startswith("2 of 2 rows, ")
