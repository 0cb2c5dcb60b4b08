"""The models that are watched in a chaos run: what their events look like, and the reference they
are counted against.
"""

from typing import Any

import numpy as np

from driftgauge.shared.contract.keys import Keys, salts_for
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.profile import Column
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import PublishedVersion, new_manifest

ONE = {"plant": 1}
BOTH = {"plant": 1, "press": 3}
SPREAD = {"plant": 1, "press": 6}
"""Models by name, with their partitions; the last are those of a cluster."""
SCHEMA = Schema(
    (
        Feature("temperature", "numeric", nullable=True),
        Feature("load", "numeric"),
        Feature("mode", "categorical", nullable=True),
    )
)
MODES = [f"mode{number}" for number in range(12)]
VERSION = "1.0.0"
PREFIX = "chaos"
REFERENCE_ROWS = 5000


def draw(random: np.random.Generator, rows: int, shift: float) -> list[dict[str, Any]]:
    """Draw feature rows; `shift` moves the temperature, in standard deviations."""
    temperatures = [
        None if random.random() < 0.03 else value
        for value in random.normal(shift, 1, rows).tolist()
    ]
    loads = np.round(random.gamma(2, 1, rows), 1).tolist()
    modes = [
        None if random.random() < 0.02 else MODES[int(place)]
        for place in random.integers(0, len(MODES), rows)
    ]
    return [
        dict(zip(SCHEMA.names, row, strict=True))
        for row in zip(temperatures, loads, modes, strict=True)
    ]


def keys_of(version: PublishedVersion) -> Keys:
    """Return the keys of a model."""
    return Keys(PREFIX).salted(version.manifest.salts)


def published(name: str, partitions: int, *, labels: bool = False) -> PublishedVersion:
    """Make the version of a model that is only monitored, whose predictions wait for labels or do
    not.
    """
    random = np.random.default_rng(7)
    rows = draw(random, REFERENCE_ROWS, 0.0)
    columns: list[Column] = [
        np.array([row[feature.name] for row in rows], dtype=float)
        if feature.kind == "numeric"
        else [row[feature.name] for row in rows]
        for feature in SCHEMA.features
    ]
    reference = build_profile(SCHEMA, columns, random.normal(size=REFERENCE_ROWS))
    manifest = new_manifest(
        name,
        VERSION,
        task="monitor",
        partitions=partitions,
        salts=salts_for(name, partitions),
        labels=labels,
    )
    return PublishedVersion(manifest, SCHEMA, reference)
