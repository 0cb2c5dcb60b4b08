"""`driftgauge slice`, as a person calls it: what it says of rows is what pandas, SciPy
and scikit-learn say.
"""

import os
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from scipy import stats
from scipy.spatial import distance
from sklearn import metrics as sk

from driftgauge.consumer.commands.kept.slice import slice as command
from driftgauge.consumer.offline.registration import register_version
from driftgauge.consumer.offline.submission import Submission
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.errors import BadData, ModelNotFound
from driftgauge.shared.registry.registry import ModelRegistry
from tests.consumer.slicing.making import archive, frame
from tests.shared.archive.making import MODEL

if not os.environ.get("CI"):
    pytest.importorskip("duckdb", reason="no duckdb: pip install -e '.[query]'")
BAD = "region = 'north' and age < 35"
ROWS = frame(8000)


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Archive rows with a planted slice."""
    made = tmp_path_factory.mktemp("slices") / "archive"
    archive(made, ROWS)
    return made


@pytest.fixture(autouse=True)
def _there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTGAUGE_ARCHIVE_URL", str(folder))


def run(*given: str) -> Result:
    return CliRunner().invoke(command, [MODEL, *given])


def found(*given: str) -> Snapshot:
    return msgspec.json.decode(run(*given, "--json").stdout, type=Snapshot)


@pytest.mark.parametrize("scored", [0.0, 0.5])
def test_classes_need_no_probabilities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scored: float
) -> None:
    """A model of classes may publish them with some of its predictions, or with none."""
    rows = frame(3000)
    archive(tmp_path / "archive", rows, scored=scored)
    monkeypatch.setenv("DRIFTGAUGE_ARCHIVE_URL", str(tmp_path / "archive"))
    snapshot = found("region = 'north'")
    assert snapshot.performance is not None
    said = {one.name: one for one in snapshot.performance.metrics}
    chosen, others = (rows[rows.region == "north"], rows[rows.region != "north"])
    assert said["accuracy"].value == pytest.approx((chosen.prediction == chosen.label).mean())
    assert said["accuracy"].baseline == pytest.approx((others.prediction == others.label).mean())
    assert (said["brier"].value is not None) == (scored > 0)


def test_the_statistics_are_those_of_other_libraries() -> None:
    """Rows, KS, Jensen-Shannon, accuracy, F1, log loss and Brier score of slice and rest."""
    inside = (ROWS.region == "north") & (ROWS.age < 35)
    chosen, others = ROWS[inside], ROWS[~inside]
    snapshot = found(BAD)
    assert snapshot.window.rows == len(chosen)
    assert snapshot.reference_rows == len(others)
    by_name = {
        feature.name: {one.name: one.value for one in feature.statistics}
        for feature in snapshot.features
    }
    # the two of drift are of cells, as those of a stream
    assert by_name["load"]["ks"] == pytest.approx(
        stats.ks_2samp(chosen.load, others.load).statistic, abs=0.005
    )
    shares = [part.region.value_counts(normalize=True) for part in (others, chosen)]
    both = pd.concat(shares, axis=1).fillna(0).to_numpy().T
    assert by_name["region"]["jensen_shannon"] == pytest.approx(
        distance.jensenshannon(both[0], both[1], base=2), abs=0.01
    )
    assert snapshot.performance is not None
    said = {one.name: one for one in snapshot.performance.metrics}
    for side, part in (("value", chosen), ("baseline", others)):
        score = np.where(part.prediction == "yes", 0.8, 0.2)
        truth = part.label == "yes"
        for name, known in {
            "accuracy": sk.accuracy_score(part.label, part.prediction),
            "f1_macro": sk.f1_score(part.label, part.prediction, average="macro"),
            "log_loss": sk.log_loss(truth, score),
            "brier": sk.brier_score_loss(truth, score),
        }.items():
            assert getattr(said[name], side) == pytest.approx(known), (side, name)


def test_what_the_rows_are_chosen_by_is_not_judged() -> None:
    """The planted shift and fall are found; the columns of the condition differ by choice."""
    snapshot = found(BAD)
    assert {one.name: one.severity for one in snapshot.features} == {
        "age": "excluded",
        "region": "excluded",
        "load": "critical",
        "paid": "ok",
    }
    assert snapshot.performance is not None
    assert snapshot.performance.severity == "critical"
    assert any("carries no promise" in note for note in snapshot.notes)


def test_what_the_rows_are_worth_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the policy file says what predictions are worth, slice and rest have their value: that
    of their rows, one by one.
    """
    (tmp_path / "policy.toml").write_text(
        f"""[models."{MODEL}".value]
unit = "EUR"
matrix = {{ no = {{ no = 2, yes = -30 }}, yes = {{ no = -7, yes = 11 }} }}
"""
    )
    monkeypatch.setenv("DRIFTGAUGE_POLICY_FILE", str(tmp_path / "policy.toml"))
    performance = found(BAD).performance
    assert performance is not None
    value = next(one for one in performance.metrics if one.name == "value")
    worth = {("no", "no"): 2, ("no", "yes"): -30, ("yes", "no"): -7, ("yes", "yes"): 11}
    rows = np.array([worth[pair] for pair in zip(ROWS.label, ROWS.prediction, strict=True)])
    inside = (ROWS.region == "north") & (ROWS.age < 35)
    assert value.value == pytest.approx(1000 * rows[inside].mean())
    assert value.baseline == pytest.approx(1000 * rows[~inside].mean())
    assert (value.severity, value.unit) == ("critical", "EUR")
    assert "value per 1,000 predictions" in run(BAD).stdout


def test_a_slice_without_effect_is_no_alarm() -> None:
    """The other half of the rows is as the rest is."""
    assert run("paid").exit_code == 0


def test_the_report_is_that_of_a_comparison(tmp_path: Path) -> None:
    """A person gets a table, a page, and the exit code of drift."""
    shown = run(BAD, "--html", str(tmp_path / "slice.html"))
    assert shown.exit_code == 1
    assert "accuracy" in shown.stdout
    assert "carries no promise" in (tmp_path / "slice.html").read_text()


def test_a_condition_on_the_outcome_is_said_to_be_one() -> None:
    """Rows that are chosen by being wrong say nothing about the model."""
    assert any("differs by choice" in note for note in found("prediction <> label").notes)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("age > 1000",), "No row fulfils"),
        (("age > 0",), "Every row fulfils"),
        (("agee > 1",), 'Referenced column "agee" not found'),
        (("count(*) > 1",), "aggregates"),
        ((BAD, "--since", "2030-01-01"), "no predictions"),
        ((BAD, "--version", "9.9.9"), "there is 1.0.0"),
        (("read_text('/etc/passwd') = 'x'",), "cannot be run"),
    ],
)
def test_what_cannot_be_done_is_said(given: tuple[str, ...], said: str) -> None:
    """Each fault is told in a sentence."""
    error = run(*given).exception
    assert isinstance(error, BadData)
    assert said in str(error)


def test_a_reference_must_be_in_the_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is none, the message says what to set."""
    monkeypatch.setenv("DRIFTGAUGE_REGISTRY_DIR", str(tmp_path))
    error = run(BAD, "--against", "reference").exception
    assert isinstance(error, ModelNotFound)
    assert "DRIFTGAUGE_REGISTRY_DIR" in str(error)


def test_a_slice_is_held_against_its_versions_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reference's rows have no effect in them, so the slice's shift and fall are found."""
    monkeypatch.setenv("DRIFTGAUGE_REGISTRY_DIR", str(tmp_path / "registry"))
    frame(8000, 1, planted=False).to_csv(tmp_path / "reference.csv", index=False)
    given = Submission(
        name=MODEL,
        reference=tmp_path / "reference.csv",
        version="1.0.0",
        prediction_column="prediction",
        target_column="label",
        labels=True,
    )
    register_version(ModelRegistry(tmp_path / "registry"), given)
    snapshot = found(BAD, "--against", "reference")
    assert snapshot.reference_rows == 8000
    severities = {one.name: one.severity for one in snapshot.features}
    assert severities["age"] == severities["region"] == "excluded"
    assert severities["load"] == "critical"
    assert snapshot.performance is not None
    assert snapshot.performance.severity == "critical"


def test_the_worst_slices_are_searched() -> None:
    """The planted one is the first, in a table and as JSON, and its condition can be asked."""
    shown = run("--worst")
    assert shown.exit_code == 1
    assert "looked at" in shown.stdout
    first = msgspec.json.decode(run("--worst", "3", "--json").stdout)["slices"][0]
    assert first["worse"]
    assert "'north'" in first["condition"]
    assert found(first["condition"]).window.rows > first["rows"]


def test_a_condition_and_a_search_exclude_each_other() -> None:
    """Neither, or both, is no question; nor is a search's report."""
    for given in ((), (BAD, "--worst", "3"), ("--worst", "--against", "reference")):
        assert run(*given).exit_code == 2
