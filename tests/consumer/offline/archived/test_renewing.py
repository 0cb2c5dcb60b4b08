"""A version whose reference is made anew of archived rows is the one that registration makes of the
same rows as a file.
"""

from pathlib import Path
from typing import Any

import joblib
import msgspec
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from driftgauge.consumer.offline.archived import sample
from driftgauge.consumer.offline.archived.renewing import Renewal, renew
from driftgauge.consumer.offline.calibrating import TimedRows, make_calibration
from driftgauge.consumer.offline.registration import register_version
from driftgauge.consumer.offline.submission import Submission
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.contract.events import Label, Prediction
from driftgauge.shared.errors import AlreadyThere, BadData
from driftgauge.shared.reference.calibration import Calibration
from driftgauge.shared.reference.frames import columns_of
from driftgauge.shared.reference.profile import NumericReference
from driftgauge.shared.registry import promotion
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.versions.manifest import PublishedVersion
from tests.shared.archive.making import DAY_MS, MODEL, NOON, write

KEY = "0123456789abcdef"
PERSON = "somebody@example.org"


def frame(rows: int, seed: int, shift: float = 0.0) -> pd.DataFrame:
    """Make rows of every kind of feature, ten minutes apart; `shift` moves them far away."""
    random = np.random.default_rng(seed)
    times = NOON + 600_000 * np.arange(rows)
    load = random.normal(shift, 1, rows)
    said = np.clip(0.5 + (load - shift) / 8, 0.02, 0.98)
    return pd.DataFrame(
        {
            "at": pd.to_datetime(times, unit="ms", utc=True),
            "load": np.where(random.random(rows) < 0.03, np.nan, load),
            "city": random.choice(["rome", "oslo"] if not shift else ["lima", "oslo"], rows),
            "paid": random.random(rows) < 0.4,
            "since": pd.to_datetime(
                times - 1000 * random.integers(0, 10_000, rows) * (1 + 4 * bool(shift)),
                unit="ms",
                utc=True,
            ),
            "said": np.where(said > 0.5, "yes", "no"),
            "score": said,
            "truth": np.where(random.random(rows) < said, "yes", "no"),
        }
    )


def registered(
    registry: ModelRegistry, file: Path, rows: pd.DataFrame, **more: Any
) -> PublishedVersion:
    """Register rows of `frame` as a monitored version with calibration."""
    rows.to_csv(file, index=False)
    given = Submission(
        MODEL,
        file,
        prediction_column="said",
        target_column="truth",
        time_column="at",
        probability_columns=("score",),
        task="binary",
        **more,
    )

    def calibrate(made: PublishedVersion, _: Any) -> Calibration:
        return make_calibration(made, TimedRows(file, "at", "said"), watch=("paid",))[0]

    return register_version(registry, given, calibrate=calibrate)[1]


def archived(
    store: FolderStore, made: PublishedVersion, rows: pd.DataFrame, *, labelled: float = 0.7
) -> None:
    """Archive rows of `frame` as predictions of a version; every fifth one was made in a batch."""
    columns = columns_of(rows, made.schema, KEY)
    values = [one if isinstance(one, list) else one.tolist() for one in columns]
    said, scores = rows.get("said"), rows.get("score")
    predictions = [
        Prediction(
            id=f"id{place}",
            version=made.manifest.version,
            time=int(rows["at"].iloc[place].timestamp() * 1000),
            features=[None if one != one else one for one in row],  # noqa: PLR0124  NaN is missing
            prediction=said.iloc[place],
            probabilities=None
            if scores is None
            else [1 - scores.iloc[place], float(scores.iloc[place])],
            source="batch" if place % 5 == 4 else "online",
        )
        for place, row in enumerate(zip(*values, strict=True))
    ]
    labels = [
        Label(f"id{place}", truth, NOON)
        for place, truth in enumerate(rows["truth"])
        if place < labelled * len(rows)
    ]
    write(store, 0, predictions, labels, schema=made.schema.stream)


def asked(version: str = "1.0.1", **more: Any) -> Renewal:
    given = {"since": NOON, "until": None, "least_rows": 500, "who": "ann", "reason": "moved"}
    return Renewal(version, **(given | more))


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "registry")


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "archive")


def test_it_is_what_registration_makes_of_the_same_rows(
    registry: ModelRegistry, store: FolderStore, tmp_path: Path
) -> None:
    """Cells, counts, segments, performance and calibration are equal to those of a version that is
    registered from a file with the rows that count for drift; the rows lie beyond the cells of the
    version that predicted them.
    """
    stated = {"f1": 0.5}
    before = registered(
        registry, tmp_path / "before.csv", frame(3000, 0), segments=("city",), metrics=stated
    )
    rows = frame(3000, 1, shift=30)
    archived(store, before, rows)
    place, made = renew(registry, store, before, asked())
    assert place == str(tmp_path / "registry" / MODEL / "1.0.1")

    rows.loc[int(0.7 * len(rows)) :, "truth"] = None
    online = rows[np.arange(len(rows)) % 5 != 4]
    schema = tmp_path / "schema.json"
    schema.write_bytes(msgspec.json.encode(before.schema))
    expected = registered(registry, tmp_path / "same.csv", online, schema_file=schema)
    assert made.reference == expected.reference
    assert made.performance == expected.performance
    assert made.performance is not None
    assert made.performance.scores is not None
    assert (before.manifest.metrics, made.manifest.metrics) == (stated, {})  # theirs are its own
    assert made.schema == before.schema
    assert made.calibration is not None
    assert expected.calibration is not None
    assert msgspec.structs.replace(made.calibration, created="") == msgspec.structs.replace(
        expected.calibration, created=""
    )

    known, new = before.reference.columns[0], made.reference.columns[0]
    assert isinstance(new, NumericReference)
    values = np.asarray(online["load"])
    there = np.bincount(known.cells(values), minlength=len(known.counts))[:-1]
    assert (there > 0).sum() == 1
    assert max(new.counts[:-1]) < 0.1 * len(online)


def test_its_manifest_says_where_it_comes_from(
    registry: ModelRegistry, store: FolderStore, tmp_path: Path
) -> None:
    """Version, times, numbers, who and why; all else is of the version that predicted the rows. No
    row outside the range is in it, and it is in no stage.
    """
    before = registered(registry, tmp_path / "before.csv", frame(2000, 0), metrics={"f1": 0.5})
    archived(store, before, frame(2000, 1), labelled=0)
    until = NOON + 1500 * 600_000
    _, made = renew(registry, store, before, asked(until=until))
    origin = made.manifest.origin
    assert origin is not None
    assert (origin.version, origin.rows, origin.read) == ("1.0.0", 1200, 1200)
    assert (origin.who, origin.reason) == ("ann", "moved")
    assert (origin.start, origin.end) == ("2025-11-20T12:00:00.000Z", "2025-11-30T21:40:00.000Z")
    assert made.performance is None
    assert registry.stage(MODEL, "1.0.1") == "none"
    own = {"version": "", "created": "", "files": {}, "data_digest": "", "origin": None}
    assert msgspec.structs.replace(made.manifest, **own) == msgspec.structs.replace(
        before.manifest, **own
    )
    assert registry.verify(MODEL) == []


def test_it_predicts_as_the_version_before(
    registry: ModelRegistry, store: FolderStore, tmp_path: Path
) -> None:
    """The model file is the same, and passes the gates; labels that are numbers are joined."""
    rows = frame(1500, 0)
    rows["said"] = rows["truth"] = rows["score"] * 3
    rows["load"] = rows["load"].fillna(0)
    fitted = LinearRegression().fit(rows[["load", "paid"]], rows["truth"])
    joblib.dump(fitted, tmp_path / "fitted.joblib")
    rows[["load", "paid", "truth"]].to_csv(tmp_path / "train.csv", index=False)
    before = register_version(
        registry,
        Submission(MODEL, tmp_path / "train.csv", artifact=tmp_path / "fitted.joblib",
                   target_column="truth"),
    )[1]  # fmt: skip
    archived(store, before, rows.drop(columns="score"))
    _, made = renew(registry, store, before, asked())
    assert registry.artifact(MODEL, "1.0.1") == registry.artifact(MODEL, "1.0.0")
    assert made.calibration is None
    assert made.performance is not None
    assert made.performance.rows == 840
    promotion.promote(registry, MODEL, "1.0.1", actor="ann")
    assert registry.production(MODEL) == "1.0.1"


def test_what_is_personal_stays_as_it_is_archived(
    registry: ModelRegistry, store: FolderStore, tmp_path: Path
) -> None:
    """A dropped feature is not in the reference, and a hashed one as its hashes, which needs no
    key.
    """
    rows = frame(1500, 0)
    rows["email"], rows["customer"] = PERSON, [f"c{place % 7}" for place in range(1500)]
    file = tmp_path / "before.csv"
    rows.drop(columns="score").to_csv(file, index=False)
    given = Submission(MODEL, file, target_column="truth", prediction_column="said", pii_key=KEY)
    inferred = register_version(registry, given)[1].schema
    features = tuple(
        msgspec.structs.replace(one, pii="hash") if one.name == "customer" else one
        for one in inferred.features
    )
    schema = tmp_path / "schema.json"
    schema.write_bytes(msgspec.json.encode(msgspec.structs.replace(inferred, features=features)))
    given = Submission(MODEL, file, target_column="truth", prediction_column="said", pii_key=KEY,
                       schema_file=schema, version="2.0.0")  # fmt: skip
    before = register_version(registry, given)[1]
    archived(store, before, rows.drop(columns="score"))
    _, made = renew(registry, store, before, asked("2.0.1"))
    names = [column.name for column in made.reference.columns]
    assert names == [column.name for column in before.reference.columns]
    assert "email" not in names
    place = names.index("customer")
    theirs, ours = before.reference.columns[place], made.reference.columns[place]
    assert set(ours.categories) == set(theirs.categories)  # type: ignore[union-attr]
    assert PERSON not in msgspec.json.encode(made).decode()


def test_of_too_many_rows_some_are_chosen(
    registry: ModelRegistry, store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version without calibration gets a sample, the same each time; one with a calibration
    needs all rows, and says so.
    """
    before = registered(registry, tmp_path / "before.csv", frame(2000, 0))
    archived(store, before, frame(2000, 1))
    monkeypatch.setattr(sample, "MOST_VALUES", 1000 * len(before.reference.columns))
    with pytest.raises(BadData, match=r"1,600 rows of plant 1\.0\.0 .* at most 1,000 are taken"):
        renew(registry, store, before, asked())
    plain = msgspec.structs.replace(before, calibration=None)
    made = [renew(registry, store, plain, asked(one))[1] for one in ("1.0.1", "1.0.2")]
    assert made[0].reference == made[1].reference
    origin = made[0].manifest.origin
    assert origin is not None
    assert origin.rows == 1600
    assert 900 < origin.read == made[0].reference.rows < 1100


def test_what_cannot_be_done_is_said(
    registry: ModelRegistry, store: FolderStore, tmp_path: Path
) -> None:
    """A number that is taken, too few rows, none in the range, a damaged file; nothing is stored
    then.
    """
    before = registered(registry, tmp_path / "before.csv", frame(1200, 0))
    archived(store, before, frame(1200, 1))

    def error(given: Renewal) -> str:
        with pytest.raises(BadData) as raised:
            renew(registry, store, before, given)
        return str(raised.value)

    with pytest.raises(AlreadyThere, match="registered already"):
        renew(registry, store, before, asked("1.0.0"))
    assert error(asked(least_rows=5000)).startswith(
        "The archive has 960 rows of plant 1.0.0 in that time that count for drift, and a "
        "reference needs 5,000."
    )
    assert "its days go from 2025-11-20 to 2025-11-28" in error(asked(since=NOON + 30 * DAY_MS))
    damaged = next((tmp_path / "archive").rglob("1.0.0-*.parquet"))
    damaged.write_bytes(damaged.read_bytes()[:100])
    assert error(asked()).startswith("A reference needs all rows.")
    assert registry.versions(MODEL) == ["1.0.0"]
