"""Where a model comes from."""

import hashlib
import subprocess
from importlib import metadata
from pathlib import Path

from sklearn.dummy import DummyClassifier

from driftgauge.shared.registry.provenance import file_digest, git_revision, library_versions


def test_the_revision_of_a_repository(tmp_path: Path) -> None:
    """The commit's full name, marked when files have changed since; nothing outside of a
    repository.
    """
    assert git_revision(tmp_path) == ""

    def git(*words: str) -> str:
        options = ("-c", "user.name=ann", "-c", "user.email=ann@localhost")
        return subprocess.run(
            ["git", *options, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    git("init", "-q")
    (tmp_path / "train.py").write_text("fit()")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    commit = git("rev-parse", "HEAD").strip()
    assert git_revision(tmp_path) == commit
    (tmp_path / "train.py").write_text("fit(again)")
    assert git_revision(tmp_path) == f"{commit}-dirty"


def test_libraries_and_digests(tmp_path: Path) -> None:
    """Versions are those installed, the digest is the standard one."""
    found = library_versions(DummyClassifier())
    assert found["scikit-learn"] == metadata.version("scikit-learn")
    assert {"python", "numpy", "lightgbm"} <= found.keys()
    (tmp_path / "file").write_bytes(b"abc" * 100_000)
    assert file_digest(tmp_path / "file") == hashlib.sha256(b"abc" * 100_000).hexdigest()
