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

from driftgauge.producer.commands import replaying
from driftgauge.producer.commands.replay import replay
from driftgauge.producer.commands.replaying import BATCH, check_taken, post, times_of
from driftgauge.shared.contract.events import Prediction
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import BadData, ServiceUnavailable
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema


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
    told = run(api, file, "--prediction-column", "z", "--limit", "2", "--json")
    assert msgspec.json.decode(told.stdout).items() >= {"posted": 2, "refused": 0}.items()


def test_events_that_the_api_refuses_are_said() -> None:
    """When the API takes a part of a request, the rest is named by its place in the file, and what
    follows is posted all the same.
    """
    sizes: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        events = json.loads(request.content)
        sizes.append(len(events))
        bad = [{"index": 3, "reason": "features/x is missing"}] if len(sizes) == 2 else []
        ids = [f"id{place}" for place in range(len(events) - len(bad))]
        return httpx.Response(202, json={"accepted": len(ids), "ids": ids, "rejected": bad})

    async def run_it() -> None:
        transport = httpx.MockTransport(answer)
        async with httpx.AsyncClient(base_url="http://api", transport=transport) as http:
            events = [{"features": {}} for _ in range(3 * BATCH)]
            check_taken(await post(http, events, "events", 0, lambda _: None))

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
    assert "row 11" in refusal(frame, "--prediction-column", "z", "--time-column", "when")
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


CLASSES = Schema((Feature("x", "numeric"),), "categorical", classes=("no", "yes"))


@pytest.mark.usefixtures("linear")
def test_ids_are_posted_and_written(
    api: str, client: redis.Redis, keys: Keys, file: Path, tmp_path: Path
) -> None:
    """The rows' own ids are those of the predictions; what was posted is written with the columns
    that are no features, row for row, whatever the order was.
    """
    frame = pd.read_csv(file).assign(order=[f"o-{place:05d}" for place in range(1200)])
    frame.to_csv(file, index=False)
    output = tmp_path / "out.csv"
    columns = ["--prediction-column", "z", "--time-column", "when", "--id-column", "order"]
    result = run(api, file, *columns, "--output", str(output), "--limit", "700", "--shuffle", "1")
    assert result.exit_code == 0, result.output
    written = pd.read_csv(output)
    assert list(written.columns) == ["row", "id", "prediction", "note", "z", "when", "order"]
    assert written["row"].tolist() == list(range(1, 701))
    assert written["id"].tolist() == written["order"].tolist() == frame["order"][:700].tolist()
    events = log(client, keys)
    assert {event.id for event in events} == set(frame["order"][:700])
    assert all(event.client_id for event in events)
    made = run(api, file, "--as", "predict", "--output", str(output), "--limit", "40")
    assert made.exit_code == 0, made.output
    written = pd.read_csv(output)
    assert written["prediction"].tolist() == pytest.approx([2 * n / 100 + 1 for n in range(40)])
    assert written["id"].nunique() == 40


@pytest.mark.usefixtures("linear")
def test_ids_that_would_not_count_are_refused(api: str, file: Path) -> None:
    """A missing id, or one that stands there twice, is named by its row before anything is
    posted.
    """
    for column, words in (("y", "The id in row 2 of column 'y' stands there before (1199 rows"),):
        result = run(api, file, "--prediction-column", "z", "--id-column", column)
        assert words in str(result.exception)
    frame = pd.read_csv(file)
    frame["note"] = [None, *range(1199)]
    frame.to_csv(file, index=False)
    result = run(api, file, "--prediction-column", "z", "--id-column", "note")
    assert "Row 1 of column 'note' is no id" in str(result.exception)


@pytest.mark.usefixtures("linear")
def test_rows_without_times_have_a_stated_rate(
    api: str, client: redis.Redis, keys: Keys, file: Path
) -> None:
    """Their times do not depend on the machine: so many a day from 2025 on, in the order in which
    they are posted; a second file begins at a later midnight; and where there is no room before
    now, that is said.
    """
    result = run(api, file, "--prediction-column", "z", "--per-day", "1440")
    assert "taken as 1,440 a day from 2025-01-01 on" in result.output
    times = [event.time for event in log(client, keys)]
    assert times == [1735689600000 + 60_000 * place for place in range(1200)]
    again = run(api, file, "--prediction-column", "z", "--shuffle", "2", "--limit", "10")
    assert "taken as 100,000 a day from 2025-01-02 on" in again.output
    times = [event.time for event in log(client, keys)][1200:]
    assert times == [1735776000000 + 864 * place for place in range(10)]
    slow = run(api, file, "--prediction-column", "z", "--per-day", "1", "--limit", "900")
    assert "the rows get the time at which they are posted" in slow.output


def test_probabilities_of_classes() -> None:
    """Those of the classes in their order, or of two classes that of the second; a sum that is
    not 1 is refused by row.
    """
    frame = pd.DataFrame(
        {"x": [1.0, 2.0], "p": ["yes", "no"], "yes": [0.75, None], "no": [0.25, 0]}
    )
    columns = replaying.Columns("p", probabilities=("yes",))
    made = replaying.plan(frame, CLASSES, "m", columns, "events", None)
    assert [request["probabilities"] for request in made.requests] == [[0.25, 0.75], None]
    both = replaying.Columns("p", probabilities=("no", "yes"))
    made = replaying.plan(frame.head(1), CLASSES, "m", both, "events", None)
    assert made.requests[0]["probabilities"] == [0.25, 0.75]
    frame["no"] = 0.5
    with pytest.raises(BadData, match="The probabilities of row 1"):
        replaying.plan(frame, CLASSES, "m", both, "events", None)


@pytest.mark.usefixtures("linear")
def test_a_file_that_is_written_otherwise(
    api: str, client: redis.Redis, keys: Keys, tmp_path: Path
) -> None:
    """A later file in another notation is refused with the option, and read with it."""
    path = tmp_path / "rows.csv"
    path.write_bytes("x;y;z;note\n1,5;2,0;?;Zoë\n".encode("cp1252"))
    options = ["--prediction-column", "z", "--per-day", "1000"]
    assert "say --encoding cp1252" in str(run(api, path, *options).exception)
    options += ["--encoding", "cp1252"]
    assert "if '1,5' is a number, say --decimal ," in str(run(api, path, *options).exception)
    options += ["--decimal", ",", "--missing", "?"]
    result = run(api, path, *options)
    assert "row 1/prediction" in str(result.exception) or "row 1, prediction" in str(
        result.exception
    ), "its prediction is missing, which a regression's may not be"
    path.write_bytes("x;y;z\n1,5;2,0;3,25\n".encode("cp1252"))
    result = run(api, path, *options)
    assert result.exit_code == 0, result.output
    assert [(event.features, event.prediction) for event in log(client, keys)] == [([1.5, 2], 3.25)]


@pytest.mark.usefixtures("linear")
@pytest.mark.parametrize("scale", [1, 1000, 10**6, 10**9])
def test_times_as_numbers_of_any_unit(
    scale: int, api: str, client: redis.Redis, keys: Keys, tmp_path: Path
) -> None:
    """Seconds, milliseconds, microseconds and nanoseconds since 1970 are the same times."""
    path = tmp_path / "rows.csv"
    start = 1_735_689_600
    pd.DataFrame(
        {"x": [1.0, 2.0], "y": 1.0, "z": 2.5, "ts": [start * scale, (start + 60) * scale]}
    ).to_csv(path, index=False)
    result = run(api, path, "--prediction-column", "z", "--time-column", "ts")
    assert result.exit_code == 0, result.output
    assert [event.time for event in log(client, keys)] == [1735689600000, 1735689660000]
