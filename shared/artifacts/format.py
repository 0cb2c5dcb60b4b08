"""What a format of model files is described by."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from driftgauge.shared.versions.manifest import Task

Load = Callable[[bytes, Task, tuple[str, ...]], Any]
"""Makes the fitted model of a file's bytes, the task (`monitor`: the file tells), and the classes
in the order of the probabilities, which are empty if the file knows them.
"""


@dataclass(frozen=True)
class ArtifactFormat:
    """A format of model files.

    Parameters
    ----------
    file
        Name that such a file gets in the version folder.
    suffixes
        Suffixes of such files, lower-case.
    words
        What the format is, for messages.
    load
        Loads a file. What it returns has `predict`, and `predict_proba` and `classes_` if it
        predicts classes.
    libraries
        Distributions that load it, of which the first that is installed is recorded.
    runs_code
        True if loading a file runs code that is in it.
    """

    file: str
    suffixes: tuple[str, ...]
    words: str
    load: Load
    libraries: tuple[str, ...]
    runs_code: bool = False
