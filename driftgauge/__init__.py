"""Driftgauge watches machine-learning models in production.

The names of the library (docs/library.md) are imported when they are asked for, so that `import
driftgauge` is light.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from driftgauge.consumer.judging.policy import JudgingPolicy
    from driftgauge.consumer.offline.comparison import (
        chi_squared,
        compare,
        jensen_shannon,
        ks,
        psi,
        statistics,
        wasserstein,
    )
    from driftgauge.consumer.offline.registration import Submission, register_version
    from driftgauge.shared.reference.pii import remove as remove_personal
    from driftgauge.shared.registry.gates import ValidationData, promote, validate
    from driftgauge.shared.registry.registry import ModelRegistry
    from driftgauge.shared.reporting.html import render_html

__all__ = [
    "JudgingPolicy",
    "ModelRegistry",
    "Submission",
    "ValidationData",
    "chi_squared",
    "compare",
    "jensen_shannon",
    "ks",
    "promote",
    "psi",
    "register_version",
    "remove_personal",
    "render_html",
    "statistics",
    "validate",
    "wasserstein",
]
_HOMES = {
    "consumer.judging.policy": ("JudgingPolicy",),
    "consumer.offline.comparison": (
        "chi_squared",
        "compare",
        "jensen_shannon",
        "ks",
        "psi",
        "statistics",
        "wasserstein",
    ),
    "consumer.offline.registration": ("Submission", "register_version"),
    "shared.reference.pii": ("remove_personal",),
    "shared.registry.gates": ("ValidationData", "promote", "validate"),
    "shared.registry.registry": ("ModelRegistry",),
    "shared.reporting.html": ("render_html",),
}
"""The module of each name, below this package."""


def __getattr__(name: str) -> object:
    """Import a name of the library at its first use.

    Raises
    ------
    NotInstalled
        If the extra `server` is not installed, with the pip line.
    """
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module 'driftgauge' has no attribute {name!r}")
    from driftgauge.shared.extras import needs

    with needs("server"):
        module = import_module(f"driftgauge.{home}")
    return getattr(module, {"remove_personal": "remove"}.get(name, name))
