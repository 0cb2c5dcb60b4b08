from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from driftgauge.models.catalogue import MODELS
from driftgauge.models.common.simulation import Labelled
from driftgauge.models.common.training import DemoModel, Trained
from driftgauge.models.demo.commands import demo
from driftgauge.models.demo.traffic import SHIFT_SD, paired_rows
from driftgauge.models.steel.simulate import DRIFTING_FEATURE


@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
def test_only_the_drifting_feature_differs(
    model: DemoModel, all_trained: dict[str, Trained]
) -> None:
    """Each row comes as it is and as the drifting sensor shows it: off by half a standard deviation
    of the reference.
    """
    trained = all_trained[model.name]
    scale = float(np.nanstd(trained.holdout[model.drifting_feature]))
    for row in islice(paired_rows(model, trained, seed=4, in_order=False), 600):
        before, after = row.clean[model.drifting_feature], row.drifted[model.drifting_feature]
        assert isinstance(before, float)
        assert after == pytest.approx(before + SHIFT_SD * scale)
        assert row.clean == {**row.drifted, model.drifting_feature: before}
        assert model.schema.positional(row.drifted)[1] == []


@pytest.mark.parametrize("in_order", [True, False])
def test_each_row_of_a_file_comes_with_its_own_true_value(
    steel: Trained, *, in_order: bool
) -> None:
    """However the rows are ordered, features and label are of one row."""
    labels = np.arange(500.0)
    features = (
        steel.holdout.iloc[:500]
        .assign(**{DRIFTING_FEATURE: labels / 1000})
        .set_axis(np.arange(500)[::-1])
    )
    kept = replace(steel, stream=Labelled(features, labels))
    rows = [*islice(paired_rows(MODELS["steel"], kept, seed=1, in_order=in_order), 500)]
    assert all(
        row.clean[DRIFTING_FEATURE] == row.label / 1000
        for row in rows
        if isinstance(row.label, float)
    )
    assert ([row.label for row in rows] == labels[::-1].tolist()) is in_order
    assert {row.label for row in rows} == set(labels.tolist())


def test_traffic_is_not_what_the_model_was_trained_on(obesity: Trained) -> None:
    """The same seed gives traffic that neither training nor reference has seen."""
    rows = [
        row.clean["Weight"]
        for row in islice(paired_rows(MODELS["obesity"], obesity, seed=0, in_order=False), 500)
    ]
    assert not {*rows} & {*obesity.features["Weight"], *obesity.holdout["Weight"]}


def test_a_file_that_leaves_no_traffic_is_refused_before_anything_starts(tmp_path: Path) -> None:
    """Only a model that keeps rows of its file for traffic takes --data; the others say why not."""
    done = CliRunner().invoke(demo, ["--model", "credit", "--data", str(tmp_path / "any.csv")])
    assert done.exit_code == 2
    assert "--data is not for --model credit" in done.output
