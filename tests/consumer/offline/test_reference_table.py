"""Registration: how each column is taken, what is said of it, and what the version keeps."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from driftgauge.consumer.commands.registering import register
from driftgauge.consumer.offline.backtesting import FileRows, log_of
from driftgauge.consumer.offline.comparison import compare
from driftgauge.consumer.offline.reference_table import Recognised
from driftgauge.consumer.offline.registration import register_version
from driftgauge.consumer.offline.submission import Submission
from driftgauge.shared.errors import BadData
from driftgauge.shared.performance import can_estimate
from driftgauge.shared.performance.layout import Layout
from driftgauge.shared.reference.columns.choices import Choices, ColumnRow
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.frames import columns_of, rows_of
from driftgauge.shared.reference.profile import CategoricalReference
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.reporting.html import render_html
from driftgauge.shared.tables.format import TableFormat, TimeFormat
from driftgauge.shared.tables.reading import read_table
from driftgauge.shared.versions.manifest import PublishedVersion

ROWS = 400
START = 1_760_000_000


def columns(seed: int = 1) -> dict[str, list[Any]]:
    """One column of each kind, as cells of a CSV file."""
    random = np.random.default_rng(seed)
    numbers = random.normal(50, 9, ROWS).round(2)
    return {
        "load": [f"{one:.2f}" for one in numbers],
        "site": random.choice(["007", "010", "102"], ROWS).tolist(),
        "flag": random.choice([0, 1], ROWS).tolist(),
        "grade": random.choice([1, 2, 3], ROWS).tolist(),
        "paid": random.choice(["true", "False"], ROWS).tolist(),
        "token": [f"{random.integers(16**12):012x}z" for _ in range(ROWS)],
        "row_id": list(range(1, ROWS + 1)),
        "plant": ["north"] * ROWS,
        "since": [str(START - 3600 * int(one)) for one in random.gamma(2, 40, ROWS)],
        "day": [f"2025-10-{1 + one % 28:02d}" for one in range(ROWS)],
        "country": random.choice(["NA", "DE"], ROWS).tolist(),
        "temp": ["?" if one == 7 else f"{one / 7:.1f}" for one in range(ROWS)],
    }


@pytest.fixture
def registered(tmp_path: Path) -> Callable[..., tuple[PublishedVersion, dict[str, ColumnRow]]]:
    """Write cells as CSV and register them, only to be monitored."""

    def do(cells: Mapping[str, Any], **more: Any) -> tuple[PublishedVersion, dict[str, ColumnRow]]:
        path = tmp_path / "reference.csv"
        pd.DataFrame(cells).to_csv(path, index=False)
        told: list[Recognised] = []
        registry = ModelRegistry(tmp_path / "registry")
        _, published = register_version(registry, Submission("m", path, **more), told.append)
        return published, {row.column: row for row in told[0].rows}

    return do


def test_each_column_is_taken_for_what_it_is(registered: Any) -> None:
    """Numbers, categories, booleans and times are told apart; ids and constants are left out of
    drift, and each says by what it was known.
    """
    published, told = registered(columns())
    features = {feature.name: feature for feature in published.schema.features}
    assert {name: row.kind for name, row in told.items()} == {
        "load": "numeric",
        "site": "categorical",
        "flag": "numeric",
        "grade": "numeric",
        "paid": "boolean",
        "token": "identifier",
        "row_id": "identifier",
        "plant": "constant",
        "since": "numeric",
        "day": "timestamp",
        "country": "categorical",
        "temp": "numeric",
    }
    assert {name for name, one in features.items() if one.excluded} == {
        "token",
        "row_id",
        "plant",
        "day",
    }
    assert features["temp"].marks == ("?",)
    assert told["site"].why == "leading zeros: codes"
    said = {name: " ".join(row.warnings) for name, row in told.items()}
    for name, words in {
        "flag": "0 and 1 are taken as numbers; --type flag=boolean or --type flag=categorical",
        "grade": "3 different whole numbers are taken as numbers; if they are codes, say --type",
        "token": "looks like an id: each row has its own value; --type token=categorical judges it",
        "plant": "constant: the reference has one value",
        "day": "date as text left out of drift: a time whose age is not known",
        "country": "'NA' in",
        "temp": "almost numeric: 1 of 400 cells are no numbers ('?') and are taken as missing",
    }.items():
        assert words in said[name]
    assert said["load"] == said["site"] == ""
    assert (told["temp"].missing, told["temp"].shown) == (1 / ROWS, "0 to 57")
    assert told["country"].distinct == 2


def test_a_time_is_judged_by_its_age_where_the_rows_have_times(registered: Any) -> None:
    """With times of the rows, times are judged; numbers of our days whose column is named so are
    times, whatever their unit.
    """
    cells = columns() | {"at": [START + 60 * row for row in range(ROWS)]}
    cells["created_at"] = [int(one) * 10**9 for one in cells["since"]]
    published, told = registered(cells, time_column="at")
    features = {feature.name: feature for feature in published.schema.features}
    assert features["created_at"].time == TimeFormat(unit="ns")
    assert not features["created_at"].excluded
    assert not features["day"].excluded
    assert published.schema.time == TimeFormat(unit="s")
    assert told["created_at"].why == "ns since 1970, by name and size"
    place = published.schema.names.index("created_at")
    known = published.reference.columns[place]
    assert known.cuts[0] > 0, "its ages"  # type: ignore[union-attr]  # it is numeric
    assert known.cuts[-1] < 40 * 86_400 * 10**9  # type: ignore[union-attr]


def test_what_is_said_is_kept(registered: Any, tmp_path: Path) -> None:
    """Types, marks and notations that were said stand in the version, and a later file is read by
    them alone.
    """
    cells = {
        "load": ["1.234,5", "7", "-", "3,25"] * 100,
        "code": ["3.0", "1.0", "2.0", ""] * 100,
        "flag": [0, 1, 1, 0] * 100,
        "when": ["12/01/2026", "02/01/2026", "11/01/2026", "05/01/2026"] * 100,
    }
    types: Any = {"code": "categorical", "flag": "boolean", "when": "hour_of_week"}
    table = TableFormat(decimal=",", thousands=".", missing=("-",))
    choices = Choices(types, table, date_format="%d/%m/%Y")
    published, told = registered(cells, choices=choices)
    schema = published.schema
    assert schema.table == table
    assert [(one.kind, one.excluded) for one in schema.features] == [
        ("numeric", ""),
        ("categorical", ""),
        ("boolean", ""),
        ("timestamp", ""),
    ]
    assert schema.features[3].time == TimeFormat(pattern="%d/%m/%Y")
    assert told["code"].why == "as said: categorical"
    code = published.reference.columns[1]
    assert isinstance(code, CategoricalReference)
    assert set(code.categories) == {"1", "2", "3"}
    later = tmp_path / "later.csv"
    later.write_text('load,code,flag,when\n"2.000,5",3,true,13/01/2026\n-,1.0,0,01/02/2026\n')
    frame = read_table(later, schema.table, schema.kinds_of())
    found = columns_of(frame, schema)
    assert [np.asarray(column, dtype=object).tolist() for column in found[:3]] == [
        [2000.5, pytest.approx(np.nan, nan_ok=True)],
        ["3", "1"],
        [1.0, 0.0],
    ]
    assert np.diff(found[3]).tolist() == [19 * 86_400_000]
    rows = rows_of(frame, schema)
    assert [schema.positional(row)[1] for row in rows] == [[], []]


@pytest.mark.parametrize(
    ("cells", "question"),
    [
        (["12/01/2026", "01/02/2026"], "say --date-format '%d/%m/%Y' or '%m/%d/%Y'"),
        (['"1,234"', '"2,500"'], "'1,234' in column 'x' can be 1.234 or 1234; say --decimal ,"),
    ],
)
def test_what_can_be_meant_in_two_ways_is_a_question(
    cells: list[str], question: str, tmp_path: Path
) -> None:
    """Nothing that matters is guessed: the registration stops with the options that decide."""
    path = tmp_path / "reference.csv"
    path.write_text("\n".join(["x,y", *(f"{cell},1" for cell in cells * 30)]))
    registry = ModelRegistry(tmp_path / "registry")
    with pytest.raises(BadData, match=re.escape(question)):
        register_version(registry, Submission("m", path))
    assert registry.versions("m") == []


def test_a_decimal_comma_that_is_plain_is_taken(registered: Any) -> None:
    """Numbers that can only have a decimal comma are read so, and every later file with them."""
    published, told = registered({"x": ["16,75", "19,3"] * 40, "y": ["1.000,5", "7"] * 40})
    assert published.schema.table.decimal == ","
    assert told["x"].shown == "16.75 to 19.3"
    assert told["y"].shown == "7 to 1000.5"


def test_a_type_that_a_column_is_not_is_refused(registered: Any) -> None:
    """What was said must hold; a column or type that is not there is named."""
    for types, message in (
        ({"site": "numeric", "token": "numeric"}, "'token' is said to be numeric, but 400 of 400"),
        ({"site": "boolean"}, "'site' is said to be boolean"),
        ({"load": "timestamp"}, ""),
        ({"nobody": "numeric"}, "--type names nobody"),
    ):
        if message:
            with pytest.raises(BadData, match=message):
                registered(columns(), choices=Choices(types))  # type: ignore[arg-type]


def test_a_reserved_name_can_be_excluded(registered: Any) -> None:
    """A column that happens to be called `prediction` is asked about, and left out if that is
    said.
    """
    cells = {"load": columns()["load"], "prediction": columns()["grade"]}
    with pytest.raises(BadData, match=r"say so .*prediction-column"):
        registered(cells)
    published, _ = registered(cells, exclude=("prediction",))
    assert published.schema.names == ("load",)


TRUTHS: Mapping[str, list[Any]] = {
    "numbers": [0, 1, 1, 0],
    "floats": ["0.0", "1.0", "1.0", "0.0"],
    "booleans": ["false", "true", "true", "false"],
    "python": [False, True, True, False],
}


@pytest.mark.parametrize("said", ["0,1", "", "False,True"])
@pytest.mark.parametrize("written", TRUTHS)
def test_a_classifier_that_is_only_monitored(registered: Any, written: str, said: str) -> None:
    """Predictions and labels of 0 and 1 are the same classes however they are written, at the
    registration and in requests; the task finds the classes itself.
    """
    random = np.random.default_rng(4)
    cells = {
        "x": random.normal(size=ROWS).round(3),
        "pred": TRUTHS[written] * (ROWS // 4),
        "truth": ["1", "1", "1", "0"] * (ROWS // 4),
    }
    classes = tuple(said.split(",")) if said else ()
    published, told = registered(
        cells,
        prediction_column="pred",
        target_column="truth",
        task="binary",
        classes=classes,
        labels=True,
    )
    schema = published.schema
    assert schema.prediction == "categorical"
    assert published.performance is not None
    assert published.performance.rows == ROWS
    assert published.performance.metrics["accuracy"].value == 0.75
    assert told["pred"].kind == "categorical"
    no, yes = schema.classes
    for value in (1, 1.0, "1", True, "true", "True"):
        assert schema.read_prediction(value) == (yes, None)
        assert schema.read_label(value) == (yes, None)
    assert schema.read_label("maybe") == ("maybe", None)
    layout = Layout.of(schema, published.reference)
    assert layout is not None
    assert layout.codes([no, yes, "maybe"]).tolist() == [0, 1, 2]


def test_classes_without_a_task_are_asked_about(registered: Any) -> None:
    """Predictions of 0 and 1 without a task are numbers, and the table asks whether they are."""
    cells = {"x": columns()["load"], "pred": [0, 1, 1, 0] * (ROWS // 4)}
    published, told = registered(cells, prediction_column="pred")
    assert published.schema.prediction == "numeric"
    assert told["pred"].warnings == (
        "taken as numbers, a regression: if these are classes, say --task binary",
    )
    quiet, told = registered(cells, prediction_column="pred", task="regression")
    assert (quiet.schema.prediction, told["pred"].warnings) == ("numeric", ())
    with pytest.raises(BadData, match="needs two classes, not 3"):
        registered({**cells, "pred": [0, 1, 2, 0] * 100}, prediction_column="pred", task="binary")
    with pytest.raises(BadData, match="has no classes: leave --classes out"):
        registered(cells, prediction_column="pred", task="regression", classes=("0", "1"))
    with pytest.raises(BadData, match="no predictions: name their column"):
        registered(cells, task="binary")


def test_probabilities_of_the_reference_make_estimates(registered: Any) -> None:
    """With probabilities the performance without labels can be estimated, from one column of the
    second class or one of each.
    """
    random = np.random.default_rng(5)
    share = random.random(ROWS).round(4)
    cells = {
        "x": random.normal(size=ROWS).round(3),
        "pred": (share > 0.5).astype(int),
        "truth": (random.random(ROWS) < share).astype(int),
        "p1": share,
        "p0": (1 - share).round(4),
    }
    named = {
        "prediction_column": "pred",
        "target_column": "truth",
        "task": "binary",
        "labels": True,
    }
    found = [
        registered(cells, probability_columns=names, **named)[0]
        for names in (("p1",), ("p0", "p1"))
    ]
    for published in found:
        assert published.performance is not None
        assert published.performance.scores is not None
        assert published.performance.metrics["roc_auc"].value > 0.7
        assert can_estimate(Layout.of(published.schema, published.reference))
    assert found[0].schema.names == ("x", "p0")
    assert found[1].schema.names == ("x",)
    for names, message in (
        (("p0", "p1", "pred"), "3 columns of probabilities, but 2 classes"),
        (("x",), "Probabilities in row .*: must be numbers from 0 to 1"),
    ):
        with pytest.raises(BadData, match=message):
            registered(cells, probability_columns=names, **named)


def test_a_model_that_is_monitored_ignores_further_fields(registered: Any) -> None:
    """A client of a monitored model may send more than is watched."""
    published, _ = registered(columns())
    row = {name: cells[0] for name, cells in columns().items()}
    assert published.schema.positional({**row, "more": 1}, texts=True)[1] == []


def test_a_backtest_reads_times_as_the_version_does(registered: Any, tmp_path: Path) -> None:
    """The rows of a later file get their logical times by the unit of the registration, not by
    their own size.
    """
    published, _ = registered(
        {"x": columns()["load"], "at": [START + row for row in range(ROWS)]}, time_column="at"
    )
    later = tmp_path / "later.csv"
    pd.DataFrame({"x": [1.0, 2.0], "at": [START + 86_400, START + 86_460]}).to_csv(
        later, index=False
    )
    first = log_of(published, FileRows(later, "at"), 1000.0).entries[0]
    assert first[0].startswith(str((START + 86_400) * 1000).encode())


def test_sixty_later_days_are_no_drift_between_two_files() -> None:
    """Two samples of one process whose dates go on do not differ by their dates, as texts or as
    times of pandas; nor by ids of their rows.
    """
    random = np.random.default_rng(6)

    def rows(first: str, *, typed: bool) -> pd.DataFrame:
        days = pd.date_range(first, periods=1500, freq="h")
        return pd.DataFrame(
            {
                "x": random.normal(size=1500),
                "day": days if typed else days.strftime("%m/%d/%Y"),
                "at": days if typed else days.astype(str),
                "id": [f"{first}-{row}" for row in range(1500)],
            }
        )

    for typed in (True, False):
        found = compare(rows("2025-01-01", typed=typed), rows("2025-03-02", typed=typed))
        assert {one.name: one.severity for one in found.features} == {
            "x": "ok",
            "day": "excluded",
            "at": "excluded",
            "id": "excluded",
        }
        assert found.severity == "ok"


def test_the_command_shows_the_table_and_gives_it_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a question the table says how each column is taken; `--json` gives the same, with the
    schema.
    """
    monkeypatch.setenv("DRIFTGAUGE_REGISTRY_DIR", str(tmp_path / "registry"))
    path = tmp_path / "reference.csv"
    pd.DataFrame(columns()).to_csv(path, index=False, sep=";")
    words = ["m", "--reference", str(path), "--type", "grade=categorical", "--missing", "NA"]
    done = CliRunner().invoke(register, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    for line in (
        "semicolons stand between the cells.",
        "temp: almost numeric: 1 of 400",
        "Left out of drift: token, row_id, plant, day, country.",
        "m 1.0.0 (monitored): 12 features (5 numeric, 5 categorical, 1 boolean, 1 timestamp)",
    ):
        assert line in done.output
    told = CliRunner().invoke(register, [*words, "--json"], catch_exceptions=False)
    document = msgspec.json.decode(told.stdout)
    assert [row["column"] for row in document["columns"]] == list(columns())
    assert document["version"] == "2.0.0"
    assert document["schema"]["table"] == {"missing": ["NA"]}
    kinds = {one["name"]: one["kind"] for one in document["schema"]["features"]}
    assert kinds["grade"] == "categorical"
    wrong = CliRunner().invoke(register, [*words, "--type", "grade=colour"])
    assert "write COLUMN=TYPE" in str(wrong.exception)


def test_a_schema_file_says_all(registered: Any, tmp_path: Path) -> None:
    """The written schema holds the types, so that registering by it takes each column as before;
    types are changed there.
    """
    file = tmp_path / "schema.json"
    first, _ = registered(columns())
    file.write_bytes(msgspec.json.encode(first.schema))
    again, told = registered(columns(), schema_file=file)
    assert again.schema == first.schema
    assert again.reference == first.reference
    assert {row.why for row in told.values()} == {"as in the schema"}
    with pytest.raises(BadData, match="leave --type out"):
        registered(columns(), schema_file=file, choices=Choices({"site": "numeric"}))
    assert isinstance(first.schema.features[0], Feature)


def test_nothing_of_a_personal_column_is_shown(registered: Any) -> None:
    """A column that is personal by its name is dropped, and neither the table nor a question quotes
    what it holds.
    """
    cells = {
        "x": columns()["load"],
        "email": [f"planted{row % 9}@example.org" for row in range(ROWS)],
        "phone": ["n/a" if row == 3 else str(4_915_100 + row % 50) for row in range(ROWS)],
        "birth_date": ["02/03/1984", "04/05/1991"] * (ROWS // 2),
        "iban": ["12,345", "67,890"] * (ROWS // 2),
    }
    published, told = registered(cells)
    for name in ("email", "phone", "birth_date", "iban"):
        text = str(told[name])
        assert "personal by name: not published" in text
        assert not any(part in text for part in ("planted", "4915", "1984", "n/a", "345"))
    assert [one.pii for one in published.schema.features] == ["keep", *["drop"] * 4]


def test_a_special_column_has_no_type(registered: Any) -> None:
    """The type of predictions and times is said by their own options."""
    cells = {"x": columns()["load"], "pred": [0, 1] * (ROWS // 2)}
    with pytest.raises(BadData, match="no feature: what the predictions are is said by --task"):
        registered(cells, prediction_column="pred", choices=Choices({"pred": "categorical"}))


def test_a_report_says_what_is_judged_of_a_column() -> None:
    """The numbers of a boolean or of an hour of the week are named as what they are."""
    frame = pd.DataFrame({"paid": [True, False] * 50, "x": np.arange(100.0)})
    frame["at"] = pd.date_range("2025-01-01", periods=100, freq="h")
    schema = Schema(
        (
            Feature("paid", "boolean"),
            Feature("x", "numeric"),
            Feature("at", "timestamp", judged="hour_of_week"),
        ),
        None,
    )
    found = compare(frame, frame, schema=schema)
    assert [one.judged for one in found.features] == ["true is 1", "", "hour of the week"]
    assert found.features[2].window_quantiles[-1] == 147.0  # 99 hours after Wednesday 0:00
    assert "hour of the week" in render_html(found)


def test_some_cells_that_are_no_times_make_no_category(registered: Any) -> None:
    """A column of dates with a few other words is one of times, and says what became of the words;
    codes of many digits keep them all.
    """
    days = [f"2025-10-{1 + row % 28:02d}" for row in range(ROWS)]
    days[7] = "soon"
    days[9] = "N/A"
    long = [str(10**18 + row % 3) for row in range(ROWS)]
    cells = {"day": days, "code": long, "other": long}
    published, told = registered(cells, choices=Choices({"code": "categorical"}))
    day, code, other = published.schema.features
    assert (day.kind, set(day.marks)) == ("timestamp", {"soon", "N/A"})
    assert "2 cells are no times ('N/A', 'soon') and are taken as missing" in told["day"].warnings
    assert (code.kind, other.kind) == ("categorical", "categorical")
    for place in (1, 2):
        known = published.reference.columns[place]
        assert isinstance(known, CategoricalReference)
        assert sorted(known.categories) == sorted({*long})
