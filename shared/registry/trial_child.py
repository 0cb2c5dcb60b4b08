"""The child of a trial (trial.py): loads a model file, lets it predict, and ends.

It is started as a program. An exception of the model is no fault: it is raised again where it
matters. What matters here is whether this process survives within its bounds.
"""

import contextlib
import os
import sys
from typing import Any

ROWS = 256


def main() -> None:
    """Try what stands on standard input."""
    import msgspec

    from driftgauge.shared.confinement import OUT_OF_MEMORY, confine, is_out_of_memory
    from driftgauge.shared.registry.trial import Tried

    tried = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Tried)
    confine(tried.memory, tried.seconds)
    try:
        _attempt(tried)
    except BaseException as error:  # noqa: BLE001  of the model: it is raised again where it is used
        os._exit(OUT_OF_MEMORY if is_out_of_memory(error) else 0)
    os._exit(0)  # without the model's own clean-up


def _attempt(tried: Any) -> None:
    from driftgauge.shared.registry.version_folder import load_estimator
    from driftgauge.shared.versions.model_frame import model_frame

    fitted = load_estimator(tried.content, tried.name, tried.task, tuple(tried.classes))
    if tried.schema is not None and tried.rows:
        named = hasattr(fitted, "feature_names_in_")
        columns = [list(column) for column in zip(*tried.rows, strict=True)]
        _predict(fitted, model_frame(tried.schema, columns, named=named))
    for rows in _made_up(fitted, tried.schema):
        _predict(fitted, rows)


def _predict(fitted: Any, rows: Any) -> None:
    for method in ("predict", "predict_proba"):
        with contextlib.suppress(Exception):  # it may not take such rows
            getattr(fitted, method)(rows)


def _made_up(fitted: Any, schema: Any) -> list[Any]:
    """Make up rows of numbers of every size, and of missing ones, which reach most of a tree."""
    import numpy as np

    width = getattr(fitted, "n_features_in_", None) or len(getattr(fitted, "feature_names", ()))
    width = width or (len(schema.features) if schema is not None else 0)
    drawn = np.random.default_rng(0)
    sizes = 10.0 ** drawn.uniform(-3, 9, (ROWS, 1))
    return [
        drawn.normal(size=(ROWS, width)) * sizes,
        np.full((1, width), np.nan),
        np.zeros((1, width)),
        drawn.integers(0, 50, (ROWS, width)).astype(float),
    ]


if __name__ == "__main__":
    main()
