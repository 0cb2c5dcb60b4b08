"""A comparison as an assertion: for the test of a pull request, and for any script."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.offline.comparison import compare
from driftgauge.consumer.offline.file_comparison import compare_files
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.columns.choices import Choices
from driftgauge.shared.reporting.comparison import as_text
from driftgauge.shared.reporting.html import render_html

DEFAULT: Final = JudgingPolicy()


def assert_no_drift(
    reference: Any,
    current: Any,
    *,
    features: Sequence[Any] | None = None,
    exclude: Mapping[Any, str] | Sequence[Any] = (),
    fail_on: Literal["warning", "critical"] = "warning",
    psi_warning: float = DEFAULT.psi_warning,
    psi_critical: float = DEFAULT.psi_critical,
    min_rows: int = DEFAULT.min_window_rows,
    min_reference_rows: int = DEFAULT.min_reference_rows,
    false_alarms: float = 0.01,
    report: str | os.PathLike[str] | None = None,
) -> Snapshot:
    """Compare two samples, and raise an AssertionError if they drifted, or could not be compared.

    Parameters
    ----------
    reference, current
        Rows to compare with, and rows to judge: data frames of pandas, polars or PyArrow, or two
        paths of files (CSV, JSON lines, Parquet, Arrow).
    features
        Columns to compare; default: all of the reference.
    exclude
        Columns that are shown but not judged; with reasons, if it is a mapping.
    fail_on
        Least severity that is an error.
    psi_warning, psi_critical
        Least true PSI of a feature that is a warning, and that is critical.
    min_rows, min_reference_rows
        Least rows of `current` and of `reference`; with fewer, nothing can be judged, which is an
        error too.
    false_alarms
        False alarms that one comparison may have on average, over all features and rules.
    report
        File that gets the report as one HTML page, whatever was found.

    Returns
    -------
    Snapshot
        What was found, as of `compare`.

    Raises
    ------
    AssertionError
        If a feature drifted or cannot be read, or nothing could be judged; the message is the
        verdict and a table with a line for each feature.
    BadData
        If the samples cannot be used at all.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> before = pd.DataFrame({"x": np.random.default_rng(0).normal(size=2000)})
    >>> assert_no_drift(before, before).severity
    'ok'
    >>> try:
    ...     assert_no_drift(before, before + 1)
    ... except AssertionError as error:
    ...     print(str(error).splitlines()[0])
    Critical: 1 of 1 columns drifted (x).
    """
    if psi_critical < psi_warning:
        raise BadData(f"psi_critical={psi_critical} is below psi_warning={psi_warning}.")
    policy = JudgingPolicy(
        psi_warning=psi_warning,
        psi_critical=psi_critical,
        min_window_rows=min_rows,
        min_reference_rows=min_reference_rows,
    )
    created = time.time_ns() // 1_000_000
    paths = [isinstance(one, str | os.PathLike) for one in (reference, current)]
    if any(paths) and not all(paths):
        raise BadData("Compare two data frames, or two files; read the one that is a file first.")
    if all(paths):
        snapshot = compare_files(
            Path(reference),
            Path(current),
            Choices(),
            features=tuple(features or ()),
            exclude=tuple(exclude),
            policy=policy,
            false_alarms=false_alarms,
            created=created,
        ).snapshot
    else:
        snapshot = compare(
            reference,
            current,
            features=features,
            exclude=exclude,
            policy=policy,
            false_alarms=false_alarms,
            created=created,
        )
    if report is not None:
        Path(report).write_text(render_html(snapshot), encoding="utf-8")
    if is_failure(snapshot, fail_on):
        where = "" if report is None else f"\n\nReport: {Path(report).resolve()}"
        raise AssertionError(f"{as_text(snapshot)}{where}")
    return snapshot


def is_failure(snapshot: Snapshot, fail_on: Literal["warning", "critical"]) -> bool:
    """Return whether a comparison found drift, left out a column, or could judge nothing."""
    return snapshot.severity in {"critical", fail_on, "insufficient_data"} or any(
        feature.severity == "unreadable" for feature in snapshot.features
    )
