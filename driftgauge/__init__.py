"""Driftgauge watches machine-learning models in production.

The names of the library (docs/library.md) are imported when they are asked for, so that `import
driftgauge` is light.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from driftgauge.client.aio import AsyncMonitor
    from driftgauge.client.monitor import Monitor
    from driftgauge.consumer.judging.policy import JudgingPolicy
    from driftgauge.consumer.offline.asserting import assert_no_drift
    from driftgauge.consumer.offline.comparison import compare
    from driftgauge.consumer.offline.registration import register_version
    from driftgauge.consumer.offline.sample_statistics import SampleStatistic, statistics
    from driftgauge.consumer.offline.submission import Submission
    from driftgauge.shared.reference.pii import remove as remove_personal
    from driftgauge.shared.registration.remote import register
    from driftgauge.shared.registry.promotion import ValidationData, promote, validate
    from driftgauge.shared.registry.registry import ModelRegistry
    from driftgauge.shared.reporting.html import render_html

    chi_squared: SampleStatistic
    jensen_shannon: SampleStatistic
    ks: SampleStatistic
    psi: SampleStatistic
    wasserstein: SampleStatistic

__all__ = [
    "AsyncMonitor",
    "JudgingPolicy",
    "ModelRegistry",
    "Monitor",
    "Submission",
    "ValidationData",
    "assert_no_drift",
    "compare",
    "promote",
    "register",
    "register_version",
    "remove_personal",
    "render_html",
    "statistics",
    "validate",
]
_HOMES = {
    "client": ("AsyncMonitor", "Monitor"),
    "consumer.judging.policy": ("JudgingPolicy",),
    "consumer.offline.asserting": ("assert_no_drift",),
    "consumer.offline.comparison": ("compare",),
    "consumer.offline.registration": ("register_version",),
    "consumer.offline.sample_statistics": ("statistics",),
    "consumer.offline.submission": ("Submission",),
    "shared.registration.remote": ("register",),
    "shared.reference.pii": ("remove_personal",),
    "shared.registry.promotion": ("ValidationData", "promote", "validate"),
    "shared.registry.registry": ("ModelRegistry",),
    "shared.reporting.html": ("render_html",),
}
"""The module of each name, below this package; a statistic has its name from its own file."""


def __getattr__(name: str) -> object:
    """Import a name of the library at its first use.

    Raises
    ------
    NotInstalled
        If the extra `server` is not installed, with the pip line.
    """
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        return _statistic(name)
    from driftgauge.shared.extras import needs

    with needs("server"):
        module = import_module(f"driftgauge.{home}")
    return getattr(module, {"remove_personal": "remove"}.get(name, name))


def _statistic(name: str) -> object:
    """Return the statistic of a name as a function of two samples."""
    if not name.startswith("_") and find_spec(f"{__name__}.{name}") is None:
        from driftgauge.shared.extras import needs

        with needs("server"):
            from driftgauge.consumer.offline.sample_statistics import of_samples
            from driftgauge.shared.statistics import STATISTICS

        if name in STATISTICS:
            return of_samples(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
