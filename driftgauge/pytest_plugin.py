"""The plugin of pytest: the fixture `assert_no_drift` (docs/pull-requests.md).

pytest loads this module in every run of an environment that has Driftgauge, so it imports nothing
of it; the first comparison does.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

OPTION = "--driftgauge-reports"
NAME_LENGTH = 100
"""Most characters of a test's name in the name of a report."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of the reports' folder."""
    parser.getgroup("driftgauge").addoption(
        OPTION,
        metavar="DIR",
        type=Path,
        help="Write the report of each assert_no_drift to this folder, one HTML page each.",
    )


@pytest.fixture
def assert_no_drift(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Compare two samples, and fail with a table of all features if they drifted.

    It is `driftgauge.assert_no_drift`; with `--driftgauge-reports DIR` each comparison writes its
    report.
    """
    folder: Path | None = request.config.getoption(OPTION)
    written = 0

    def compared(reference: Any, current: Any, **how: Any) -> Any:
        __tracebackhide__ = True
        nonlocal written
        import driftgauge

        if folder is not None and how.get("report") is None:
            folder.mkdir(parents=True, exist_ok=True)
            written += 1
            how["report"] = folder / f"{_file_name(request.node.nodeid)}-{written}.html"
        try:
            return driftgauge.assert_no_drift(reference, current, **how)
        except AssertionError as error:
            said = str(error)
        pytest.fail(said, pytrace=False)  # outside of the except, which would be told as well

    return compared


def _file_name(test: str) -> str:
    """Return a test's name as that of a file.

    Examples
    --------
    >>> _file_name("tests/test_data.py::test_prices[a/../b]")
    'tests_test_data.py_test_prices_a_.._b_'
    """
    return re.sub(r"[^\w.-]+", "_", test)[-NAME_LENGTH:]
