"""The optional packages of this installation, and the pip line for absent ones.

The base installation has no dependencies. The extras of pyproject.toml bring the packages of API,
worker and library (`server`), of Parquet, Arrow and zstd files (`parquet`), of pictures (`plot`),
of the search for settings (`tune`), of model files in other formats (`onnx`, `xgboost`, `catboost`)
and in MLflow (`mlflow`), of object storage (`s3`), of notifications to further services
(`apprise`), a private server of Redis (`local`), traces and metrics for a
collector (`otel`), and of SQL over the archive (`query`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from driftgauge.shared.errors import NotInstalled

Extra = Literal[
    "server",
    "local",
    "parquet",
    "plot",
    "tune",
    "onnx",
    "xgboost",
    "catboost",
    "mlflow",
    "kafka",
    "s3",
    "apprise",
    "otel",
    "query",
]


def pip_line(extra: Extra) -> str:
    """Return the command that installs an extra.

    >>> pip_line("plot")
    "pip install 'driftgauge[plot]'"
    """
    return f"pip install 'driftgauge[{extra}]'"


@contextmanager
def needs(extra: Extra) -> Iterator[None]:
    """Name the extra that brings the packages which are imported within this context.

    A module of our own that is not found is a fault of ours, and passes as it is.

    Raises
    ------
    NotInstalled
        If a package is not found.

    >>> with needs("plot"):
    ...     import plotter
    Traceback (most recent call last):
    driftgauge.shared.errors.NotInstalled: This needs plotter: pip install 'driftgauge[plot]'
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in {"", "driftgauge"}:
            raise
        raise NotInstalled(f"This needs {package}: {pip_line(extra)}") from error
