"""joblib and pickle files: a fitted model of scikit-learn's kind, which knows all of itself.

Loading one runs code that is in it, so it is loaded only from bytes whose checksum was verified.
"""

import io
from typing import Any, Final

from driftgauge.shared.artifacts.format import ArtifactFormat
from driftgauge.shared.versions.manifest import Task


def load(content: bytes, task: Task, classes: tuple[str, ...]) -> Any:  # noqa: ARG001  it knows its own
    """Load the object of a file."""
    import joblib  # only a process that loads models needs it

    return joblib.load(io.BytesIO(content))


FORMAT: Final = ArtifactFormat(
    "model.joblib",
    (".joblib", ".pkl"),
    "a fitted model of scikit-learn's kind, by joblib",
    load,
    ("joblib",),
    runs_code=True,
)
