from pathlib import Path

import numpy as np
import pytest

from driftgauge.models.common.training import Trained
from driftgauge.models.credit import tuning
from driftgauge.models.credit.features import DATE, TARGET, read_raw
from driftgauge.models.credit.simulate import CardHolders
from driftgauge.models.credit.train import train
from driftgauge.shared.errors import BadData
from tests.models.conftest import SMALL


@pytest.fixture(scope="module")
def from_file(data: Path) -> Trained:
    return train(data / "credit_default.csv", trials=0)


@pytest.mark.long
def test_same_seed_same_model(credit: Trained) -> None:
    """Training is reproducible: one seed gives the same choice, metrics and predictions."""
    again = train(None, seed=0, rows=SMALL["credit"], trials=0)
    assert (again.metrics, again.remarks) == (credit.metrics, credit.remarks)
    assert (again.predictions == credit.predictions).all()


def test_the_simulated_model_is_useful_on_later_rows(credit: Trained) -> None:
    """The metrics of the last fifth are those of a useful model."""
    assert credit.metrics["f1:0"] > 0.87
    assert credit.metrics["roc_auc"] > 0.73


@pytest.mark.long
def test_the_model_of_the_real_file_is_as_good_as_stated(from_file: Trained) -> None:
    """On the last fifth of the public file: F1 of class 0 at least .89, ROC AUC at least .78."""
    assert from_file.metrics["f1:0"] >= 0.89
    assert from_file.metrics["roc_auc"] >= 0.78
    assert len(from_file.remarks) == 4


@pytest.mark.long
def test_the_file_is_split_in_its_order(from_file: Trained, data: Path) -> None:
    """The first 80 % are trained on, the last 20 % measured, none shuffled."""
    assert from_file.features.index.tolist() == list(range(24_000))
    assert from_file.holdout.index.tolist() == list(range(24_000, 30_000))
    assert (
        from_file.truth.tolist()
        == read_raw(data / "credit_default.csv")[TARGET][24_000:].map("{:.0f}".format).tolist()
    )


def test_simulated_rows_are_split_in_time(credit: Trained) -> None:
    """No row that was trained on is of a later day than one that is measured."""
    days = CardHolders((0, 1)).rows(SMALL["credit"])[DATE]
    assert len(credit.features) == 0.8 * SMALL["credit"]
    assert days[credit.features.index].is_monotonic_increasing
    assert days[credit.features.index].max() <= days[credit.holdout.index].min()


@pytest.mark.long
def test_without_optuna_the_chosen_model_keeps_its_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Training works without the extra, and says that it did not tune."""
    monkeypatch.setattr(tuning, "installed", lambda: False)
    trained = train(None, rows=1500, trials=5)
    assert trained.remarks[-1].endswith("not tuned (Optuna is not installed).")


@pytest.mark.long
def test_with_optuna_the_chosen_model_is_tuned() -> None:
    """A bounded number of trials is made, and what came of it is said; it is never worse than the
    default.
    """
    pytest.importorskip("optuna")
    remarks = train(None, rows=1500, trials=2).remarks
    assert remarks[-1].startswith("Tuned in 2 trials")
    before = max(float(remark.rsplit(" ", 1)[1]) for remark in remarks[:-1])
    assert float(remarks[-1].rstrip(".").rsplit(" ", 1)[1]) >= before


def test_a_file_that_cannot_be_trained_on_is_refused(tmp_path: Path) -> None:
    """Too few rows, or a part without a default, is said."""
    file = tmp_path / "cards.csv"
    rows = CardHolders(0).rows(1000)
    rows[:100].to_csv(file, index=False)
    with pytest.raises(BadData, match="100 rows"):
        train(file)
    rows.assign(**{TARGET: np.where(np.arange(1000) < 800, rows[TARGET], 0)}).drop(
        columns=DATE
    ).to_csv(file, index=False)
    with pytest.raises(BadData, match="from row 800 to 1000"):
        train(file)
