"""What a registry promises wherever its files are: in a folder, or in object storage."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import msgspec
import numpy as np
import pytest

from driftgauge.shared.errors import AlreadyThere, BadData, ModelNotFound
from driftgauge.shared.reference.accepted import AcceptedReference
from driftgauge.shared.registry.glance import Glance
from driftgauge.shared.registry.reference_store import ReferenceStore
from driftgauge.shared.registry.registry import ModelRegistry, PublishedVersion, new_manifest
from driftgauge.shared.versions.stages import StageChange
from tests.consumer.builders import published
from tests.consumer.judging.weeks import SCHEMA, calibration_of, profile_of, rows


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    joblib.dump({"weights": [1, 2]}, tmp_path / "fitted.joblib")
    return tmp_path / "fitted.joblib"


def test_the_life_of_a_model(anywhere: ModelRegistry, artifact: Path) -> None:
    """What is registered is loaded as it was, with its fitted model; a version never changes, and
    stages, rollback, purge and history are the same.
    """
    with pytest.raises(ModelNotFound, match="registered: none"):
        anywhere.production("plant")
    assert anywhere.registered() == anywhere.models() == anywhere.versions("plant") == []
    given = published("1.0.0", rows=10)
    anywhere.register(given, artifact)
    loaded = anywhere.load("plant", "1.0.0")
    assert (loaded.schema, loaded.reference) == (given.schema, given.reference)
    assert anywhere.load_artifact("plant", "1.0.0") == {"weights": [1, 2]}
    with pytest.raises(AlreadyThere, match="registered already, and versions never change"):
        anywhere.register(published("1.0.0", seed=5, rows=10))
    assert anywhere.load("plant", "1.0.0") == loaded
    anywhere.promote("plant", "1.0.0", actor="ann")
    anywhere.register(published("2.0.0", rows=10))
    anywhere.promote("plant", "2.0.0", actor="ann", reason="better")
    assert (anywhere.registered(), anywhere.models()) == (["plant"], ["plant"])
    assert anywhere.rollback("plant", actor="eve").version == "1.0.0"
    assert anywhere.production("plant") == "1.0.0"
    assert anywhere.verify("plant") == []
    anywhere.purge("plant", "2.0.0", actor="eve", reason="personal")
    assert anywhere.versions("plant") == ["1.0.0"]
    with pytest.raises(AlreadyThere, match="was purged"):
        anywhere.register(published("2.0.0", rows=10))
    assert [change.action for change in anywhere.history("plant")] == [
        *("promote", "promote", "rollback", "purge")
    ]
    with pytest.raises(ModelNotFound, match=r"plant 3\.0\.0 is missing.*versions: 1\.0\.0"):
        anywhere.load("plant", "3.0.0")


def test_calibrations(anywhere: ModelRegistry) -> None:
    """That of the registration is a file of the version; a later one stands in its place."""
    columns = rows(np.random.default_rng(0), 7)
    profile = profile_of(columns)
    first, later = (calibration_of(profile, columns, target=target) for target in (1.0, 2.0))
    manifest = new_manifest("plant", "1.0.0", "monitor")
    anywhere.register(PublishedVersion(manifest, SCHEMA, profile, calibration=first))
    assert anywhere.calibration("plant", "1.0.0") == first
    assert anywhere.load("plant", "1.0.0").calibration == first
    anywhere.store_calibration("plant", "1.0.0", later)
    assert anywhere.calibration("plant", "1.0.0") == later
    assert anywhere.load("plant", "1.0.0").calibration == later
    assert anywhere.verify("plant") == []


def test_a_promotion_is_seen_at_the_next_look(anywhere: ModelRegistry) -> None:
    """By another process with its own view of the same place; so is a calibration, once."""
    anywhere.register(published("1.0.0", rows=10))
    glance = Glance(ModelRegistry(anywhere.storage))
    assert glance.production() == {}
    anywhere.promote("plant", "1.0.0", actor="ann")
    assert glance.production() == {"plant": "1.0.0"}
    anywhere.register(published("2.0.0", rows=10))
    anywhere.promote("plant", "2.0.0", actor="ann")
    assert glance.production() == {"plant": "2.0.0"}
    assert not glance.calibrated("plant", "2.0.0")
    columns = rows(np.random.default_rng(0), 7)
    anywhere.store_calibration("plant", "2.0.0", calibration_of(profile_of(columns), columns))
    glance.production()
    assert glance.calibrated("plant", "2.0.0")


def test_no_change_of_many_at_once_is_lost(anywhere: ModelRegistry) -> None:
    """Four that register the same version: one wins, and the version is whole; forty changes of the
    stages by four at a time: each is in the history.
    """
    anywhere.register(published("1.0.0", rows=10))
    begin = threading.Barrier(4)

    def register(seed: int) -> str:
        begin.wait(60)
        try:
            anywhere.register(published("2.0.0", seed=seed, rows=10))
        except AlreadyThere:
            return "refused"
        return "stored"

    def record(number: int) -> None:
        change = StageChange("2026-01-01", str(number), "validate", "1.0.0")
        anywhere.record(change, "plant")

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(register, range(4))) == [*["refused"] * 3, "stored"]
        [*threads.map(record, range(20))]
    assert anywhere.verify("plant") == []
    assert anywhere.load("plant", "2.0.0").reference.rows == 10
    found = sorted(int(change.actor) for change in anywhere.history("plant"))
    assert found == [*range(20)]


def test_two_first_versions_agree_on_the_partitions(anywhere: ModelRegistry) -> None:
    """Two first versions at the same time, with another number of partitions each: at most one
    stands, and all that stand agree.
    """
    begin = threading.Barrier(2)

    def register(version: str, partitions: int) -> str:
        given = published(version, rows=10)
        manifest = msgspec.structs.replace(given.manifest, partitions=partitions, salts=())
        begin.wait(60)
        try:
            anywhere.register(msgspec.structs.replace(given, manifest=manifest))
        except BadData:
            return ""
        return version

    with ThreadPoolExecutor(2) as threads:
        stored = [*filter(None, threads.map(register, ("1.0.0", "2.0.0"), (2, 4)))]
    assert anywhere.versions("plant") == sorted(stored)
    assert len(stored) < 2


def test_accepted_references(anywhere: ModelRegistry) -> None:
    """Two that accept at the same time get a number each, with their own reference; an undoing goes
    back.
    """
    anywhere.register(published("1.0.0", rows=10))
    store = ReferenceStore(anywhere, "plant", "1.0.0")
    profile = published("1.0.0", rows=10).reference
    begin = threading.Barrier(2)

    def accept(end: int) -> None:
        begin.wait(60)
        made = AcceptedReference("", 0, profile, None, 0, end)
        store.accept(made, who="ann", reason=str(end))

    with ThreadPoolExecutor(2) as threads:
        [*threads.map(accept, (1, 2))]
    changes = store.history().changes
    assert [change.number for change in changes] == [1, 2]
    assert [str(store.load(change.number).end) for change in changes] == [
        change.reason for change in changes
    ]
    assert store.undo(who="ann", reason="no").number == 1
    assert store.load(1).number == 1


def test_storage_that_does_not_answer_is_said(object_storage: str) -> None:
    """A bucket that is not there, and one of a wrong name: an error that says where."""
    from driftgauge.shared.storage.objects import Objects

    registry = ModelRegistry(Objects(f"{object_storage}-nowhere"))
    with pytest.raises((OSError, BadData, ModelNotFound)) as caught:
        registry.register(published("1.0.0", rows=10))
    assert "driftgauge-nowhere" in str(caught.value)


@pytest.mark.parametrize("stride", [5, pytest.param(1, marks=pytest.mark.long)])
def test_killed_at_every_request(
    object_storage: str, tmp_path: Path, artifact: Path, stride: int
) -> None:
    """Whatever request to object storage is the last of a registration and its promotion: a version
    is there whole or not at all, one serves, and the next registration goes on.
    """
    from driftgauge.shared.storage.objects import Objects

    class Dying:
        """obstore, until its request of some number."""

        def __init__(self, real: Any, number: int) -> None:
            self.left, self._real = number, real

        def __getattr__(self, name: str) -> Any:
            found = getattr(self._real, name)
            if name not in {"put", "get", "delete", "list", "head"}:
                return found
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt  # no code of ours handles it
            return found

    whole, number, died = 0, 0, True
    while died:
        storage = Objects(f"{object_storage}/{tmp_path.name}-{number}")
        registry, dying = (
            ModelRegistry(storage),
            Objects(f"{object_storage}/{tmp_path.name}-{number}"),
        )
        registry.register(published("1.0.0", rows=10))
        registry.promote("plant", "1.0.0", actor="ann")
        dying._obstore = Dying(dying._obstore, number)
        died = False
        try:
            ModelRegistry(dying).register(published("2.0.0", rows=10), artifact)
            ModelRegistry(dying).promote("plant", "2.0.0", actor="ann")
        except KeyboardInterrupt:
            died = True
        there, production = registry.versions("plant"), registry.production("plant")
        assert there in (["1.0.0"], ["1.0.0", "2.0.0"])
        assert production in there
        assert registry.verify("plant") == []
        if there == ["1.0.0"]:
            registry.register(published("2.0.0", rows=10), artifact)
        else:
            whole += 1
        if production == "1.0.0":
            registry.promote("plant", "2.0.0", actor="ann")
        assert registry.load_artifact("plant", "2.0.0") == {"weights": [1, 2]}
        number += stride
    assert 1 < whole < number / stride
