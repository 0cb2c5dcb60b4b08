"""Content of the Models page: the versions in the registry folder, the results of their gates, and
the changes of their stages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from driftgauge.producer.reading.catalogue import MOST_HISTORY
from driftgauge.shared.errors import DriftgaugeError
from driftgauge.shared.reference.history import ReferenceHistory
from driftgauge.shared.registry.reference_store import ReferenceStore
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.versions.gates import Gates, Validation
from driftgauge.shared.versions.manifest import Manifest
from driftgauge.shared.versions.stages import Stage, StageChange, Stages

MOST_VERSIONS: Final = 50


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version; without its manifest `fault` says why.

    Parameters
    ----------
    validation
        Latest result of the gates: of a validation, a promotion or a refused promotion.
    references
        Every change of its reference; None if that cannot be read.
    """

    version: str
    stage: Stage
    manifest: Manifest | None
    fault: str
    validation: Validation | None
    references: ReferenceHistory | None = None

    @property
    def gates(self) -> Gates:
        return Gates() if self.manifest is None else self.manifest.gates

    @property
    def bounds(self) -> list[str]:
        """Bounds that its metrics must meet, as text."""
        least = [f"{name} ≥ {bound:g}" for name, bound in self.gates.minimum.items()]
        return least + [f"{name} ≤ {bound:g}" for name, bound in self.gates.maximum.items()]


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A model, its versions newest first.

    Parameters
    ----------
    back_to
        Version that a rollback would bring back; empty if there is none.
    hidden
        Number of older versions that are not listed.
    """

    model: str
    production: str
    back_to: str
    versions: list[VersionRow]
    hidden: int
    history: list[StageChange]
    fault: str = ""


def registered(registry: ModelRegistry, only: str | None) -> list[RegisteredModel]:
    """Read all models, or one; a model that cannot be read says why."""
    names = registry.registered()
    return [_model(registry, name) for name in names if only in {None, name}]


def _model(registry: ModelRegistry, name: str) -> RegisteredModel:
    try:
        stages, versions = registry.stages(name), registry.versions(name)[::-1]
    except (DriftgaugeError, ValueError) as error:  # the others are still shown
        return RegisteredModel(name, "", "", [], 0, [], str(error))
    return RegisteredModel(
        model=name,
        production=stages.production,
        back_to=stages.line[-1] if stages.line else "",
        versions=[
            _version(registry, stages, name, version) for version in versions[:MOST_VERSIONS]
        ],
        hidden=max(0, len(versions) - MOST_VERSIONS),
        history=list(stages.history[: -MOST_HISTORY - 1 : -1]),
    )


def _version(registry: ModelRegistry, stages: Stages, name: str, version: str) -> VersionRow:
    stage, validation = stages.stage(version), _latest(stages.history, version)
    try:
        manifest = registry.manifest(name, version)
    except (DriftgaugeError, ValueError) as error:  # the others are still shown
        return VersionRow(version, stage, None, str(error), validation)
    return VersionRow(
        version, stage, manifest, "", validation, _references(registry, name, version)
    )


def _references(registry: ModelRegistry, name: str, version: str) -> ReferenceHistory | None:
    try:
        return ReferenceStore(registry, name, version).history()
    except DriftgaugeError:  # the rest of the version is still shown
        return None


def _latest(history: Sequence[StageChange], version: str) -> Validation | None:
    found = (change.validation for change in reversed(history) if change.version == version)
    return next((validation for validation in found if validation is not None), None)
