"""The files of accepted references, beside the folder of their version."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from driftgauge.shared.errors import BadData, ModelNotFound
from driftgauge.shared.reference.accepted import AcceptedReference, recounted
from driftgauge.shared.reference.history import ReferenceHistory
from driftgauge.shared.registry.reference_store import ReferenceStore
from driftgauge.shared.registry.registry import ModelRegistry
from tests.consumer.builders import published

PUBLISHED = published(rows=600)


def accepted(counts: int = 3) -> AcceptedReference:
    profile = recounted(PUBLISHED.reference, np.full(int(PUBLISHED.reference.offsets[-1]), counts))
    return AcceptedReference("1.0.0", 1, profile, None, 0, 1, {"pane": 3})


def test_files_stand_beside_the_version_folder_which_never_changes(tmp_path: Path) -> None:
    """What was accepted is read back as it was, with who and why; the version's own files have
    their checksums still.
    """
    registry = ModelRegistry(tmp_path)
    registry.register(PUBLISHED)
    store = ReferenceStore(registry, "plant", "1.0.0")
    assert store.history() == ReferenceHistory()
    store.accept(accepted(3), who="ann", reason="new plant")
    store.accept(accepted(5), who="ann", reason="again")
    history = ReferenceStore(registry, "plant", "1.0.0").undo(who="bob", reason="too early")
    assert [(change.number, change.who, change.undo) for change in history.changes] == [
        (1, "ann", False),
        (2, "ann", False),
        (1, "bob", True),
    ]
    assert store.load(2) == msgspec.structs.replace(accepted(5), number=2)
    assert registry.verify("plant") == []
    assert registry.registered() == ["plant"]
    assert registry.versions("plant") == ["1.0.0"]


def test_damaged_files_say_what_to_do(tmp_path: Path) -> None:
    """A file that was cut or is gone is an error with its name, and an unknown version one too."""
    registry = ModelRegistry(tmp_path)
    registry.register(PUBLISHED)
    store = ReferenceStore(registry, "plant", "1.0.0")
    store.accept(accepted(), who="ann", reason="why")
    folder = tmp_path / "plant" / "references" / "1.0.0"
    (folder / "1.json.gz").write_bytes((folder / "1.json.gz").read_bytes()[:50])
    (folder / "history.json").write_text("{")
    for read in (lambda: store.load(1), lambda: store.load(2), store.history):
        with pytest.raises(BadData, match="Restore it from a backup"):
            read()
    with pytest.raises(ModelNotFound):
        ReferenceStore(registry, "plant", "9.0.0")
    with pytest.raises(BadData):
        ReferenceStore(registry, "plant", "../1.0.0")
