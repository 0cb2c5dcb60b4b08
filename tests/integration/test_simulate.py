"""driftgauge simulate against a real deployment: each kind of drift is found, and what is said of
it is true.
"""

import io
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from driftgauge.models.catalogue import MODELS
from driftgauge.models.common.training import store
from driftgauge.models.credit import train
from driftgauge.models.credit.candidates import CANDIDATES
from driftgauge.models.drift.plan import DRIFT_KINDS, DriftKind, SimulationPlan
from driftgauge.models.drift.report import Record
from driftgauge.models.drift.terminal import conclude, keep, run_shown
from driftgauge.shared.errors import BadData
from driftgauge.shared.local.deployment import Deployment
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.frames import columns_of
from driftgauge.shared.registry.creation import new_manifest
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from driftgauge.shared.versions.manifest import PublishedVersion
from tests.integration.test_demo import driftgauge
from tests.models.drift.builders import SCHEMA, Coins

pytestmark = pytest.mark.long

EVENTS, FEW_EVENTS = 1200, 800
"""Labels come in windows of their own, so that what they tell takes longer."""
OF_LABELS = {"label_imbalance", "concept", "combined"}
QUICK = {
    "pane_events": 100,
    "window_events": 400,
    "min_window_rows": 200,
    "labelled_rows": 300,
    "access_log": False,
}
"""Small windows, so that few events do; the rules and their budget are the defaults."""


@contextmanager
def deployed(folder: Path) -> Iterator[tuple[Deployment, Path]]:
    """Serve the credit model under one name for each kind, and a model that is only watched.

    Of its candidates the logistic regression stands for all: it predicts in a tenth of the time.
    """
    registry = ModelRegistry(folder / "registry")
    credit = MODELS["credit"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "CANDIDATES", [one for one in CANDIDATES if "logistic" in one.name])
        trained = credit.fit(credit.simulator(77).labelled(6000), 0, "the simulator")
    for kind in DRIFT_KINDS:
        name = kind.replace("_", "-")
        stored = store(credit, trained, registry, name)
        registry.promote(name, stored, "production", actor="test")
    frame = Coins().labelled(3000).features
    reference = build_profile(SCHEMA, columns_of(frame, SCHEMA), ["no", "yes"] * 1500)
    registry.register(
        PublishedVersion(new_manifest("watched", "1.0.0", "monitor"), SCHEMA, reference)
    )
    registry.promote("watched", "1.0.0", "production", actor="test")
    own = {
        "data_dir": folder / "data",
        "registry_dir": folder / "registry",
        "reports_kept": 0,
        "port": 18_500,
    }
    settings = Settings(**{**QUICK, **own})  # type: ignore[arg-type]  # pydantic validates them
    with Deployment(settings) as running:
        yield running, folder


@pytest.fixture(scope="module")
def plant() -> Iterator[tuple[Deployment, Path]]:
    with tempfile.TemporaryDirectory() as folder, deployed(Path(folder)) as found:
        yield found


def simulated(
    plant: tuple[Deployment, Path], model: str, kind: DriftKind, intensity: float = 0.6, **more: Any
) -> Record:
    """Run a simulation as the command does."""
    running, folder = plant
    plan = SimulationPlan(
        model, kind, intensity, "abrupt", more.pop("events", EVENTS), 0, 0.0, 0.1, **more
    )
    console = Console(file=io.StringIO())
    found = run_shown(plan, running.settings, running.url, console)
    conclude(found.record, console)
    keep(found, folder / "reports", console)
    return found.record


@pytest.mark.parametrize("kind", DRIFT_KINDS)
def test_each_kind_of_drift_is_found_and_nothing_before_it(
    plant: tuple[Deployment, Path], kind: DriftKind
) -> None:
    """The record and the picture say so; the labels were all taken."""
    events = EVENTS if kind in OF_LABELS else FEW_EVENTS
    found = simulated(plant, kind.replace("_", "-"), kind, events=events)
    assert found.passed, found.verdict
    assert (found.events, found.injected_at, found.labels) == (events, events // 2, events)
    assert all(one.after is not None and 0 < one.after <= events // 2 for one in found.verdict.met)
    written = sorted(path.suffix for path in (plant[1] / "reports").glob(f"*-{found.model}-*"))
    assert written == [".json", ".png"]
    if kind == "concept":
        assert found.after["accuracy"] < found.before["accuracy"] - 0.2


def test_a_model_that_is_only_watched_is_simulated_from_its_reference(
    plant: tuple[Deployment, Path],
) -> None:
    """Its rows are no drift before the injection; without labels a concept cannot change, which is
    said.
    """
    found = simulated(plant, "watched", "feature_shift", feature="y")
    assert found.passed, found.verdict
    assert (found.labels, found.before) == (0, {})
    with pytest.raises(BadData, match="no true values"):
        simulated(plant, "watched", "concept")


def test_a_drift_that_is_too_small_is_not_found_and_said_so_by_the_command(
    plant: tuple[Deployment, Path],
) -> None:
    """The verdict can fail: exit code 1, and the record on standard output says what was missed."""
    running, folder = plant
    done = driftgauge(
        "simulate",
        "--model",
        "watched",
        "--drift",
        "feature_shift",
        "--feature",
        "x",
        "--intensity",
        "0.001",
        "--events",
        "400",
        "--json",
        "--url",
        running.url,
        "--output",
        str(folder),
        environment={"DRIFTGAUGE_REGISTRY_DIR": str(folder / "registry")},
    )
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["verdict"]["met"] == [{"name": "x drifts", "after": None}]


def test_an_api_that_is_away_is_one_clear_line() -> None:
    """Exit code 69, and what to do."""
    done = driftgauge(
        "simulate", "--model", "m", "--drift", "concept", "--url", "http://127.0.0.1:1"
    )
    assert done.returncode == 69
    assert done.stderr.splitlines()[-1].startswith("driftgauge: No API at http://127.0.0.1:1")
