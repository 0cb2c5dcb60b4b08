"""What a backtest of an archive needs of the registry: versions, and the references of each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import msgspec

from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.offline.archived.panes import Past
from driftgauge.shared.archive.scan import Range, Told, files
from driftgauge.shared.archive.store import Store
from driftgauge.shared.errors import BadData, ModelNotFound
from driftgauge.shared.reference.accepted import AcceptedReference
from driftgauge.shared.reference.history import ReferenceChange, reference_key
from driftgauge.shared.registry.reference_store import ReferenceStore
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.versions.manifest import PublishedVersion

NOTHING: Final = "There is no prediction of {model} in that time in {where}."


@dataclass(frozen=True)
class Known:
    """The versions of an archive that the registry knows, by `reference_key`, and the changes of
    their references with their times (ms), in order.
    """

    versions: Mapping[str, PublishedVersion]
    changes: tuple[tuple[int, ReferenceChange], ...] = ()

    def past(
        self,
        policy: CountingPolicy,
        store: Store,
        wanted: Range,
        told: Told,
        counted: Callable[[int], None] = lambda _rows: None,
    ) -> Past:
        """Return what is counted, each partition by the same policy."""
        partitions = next(iter(self.versions.values())).manifest.partitions
        policies = [
            replace(policy, partition=partition, partitions=partitions)
            for partition in range(partitions)
        ]
        return Past(store, wanted, self.versions, self.changes, policies, told, counted)


def known_versions(registry: ModelRegistry, store: Store, wanted: Range, told: Told) -> Known:
    """Return the versions of the predictions of a range, with all references that they had.

    Raises
    ------
    BadData
        If there is no prediction, or a reference in the registry is damaged.
    ModelNotFound
        If the registry has none of the versions.
    """
    names = {file.version for _, file in files(store, "predictions", wanted, told)}
    if not names:
        raise BadData(NOTHING.format(model=wanted.model, where=store.where()))
    versions: dict[str, PublishedVersion] = {}
    changes: list[tuple[int, ReferenceChange]] = []
    for name in sorted(names.intersection(registry.versions(wanted.model))):
        versions[name] = registry.load(wanted.model, name)
        kept = ReferenceStore(registry, wanted.model, name)
        for change in kept.history().changes:
            changes.append((_ms(change.created), change))
            key = reference_key(name, change.number)
            if key not in versions:
                versions[key] = by_reference(versions[name], kept.load(change.number))
    if not versions:
        raise ModelNotFound(
            f"The registry has none of the versions of {wanted.model} that are archived: "
            f"{', '.join(sorted(names))}."
        )
    unknown = names - versions.keys()
    if unknown:
        told(
            f"{wanted.model} {', '.join(sorted(unknown))} is not in the registry: its predictions "
            f"are left out."
        )
    return Known(versions, tuple(sorted(changes, key=lambda one: one[0])))


def by_reference(version: PublishedVersion, accepted: AcceptedReference) -> PublishedVersion:
    """Return a version with an accepted reference in place of its registered one."""
    return msgspec.structs.replace(
        version, reference=accepted.profile, calibration=accepted.calibration
    )


def held_against(known: Known, number: int) -> Known:
    """Return the versions with one of their references throughout; 0 is the registered one.

    Raises
    ------
    BadData
        If no version has an accepted reference of that number.
    """
    names = [name for name in known.versions if "#" not in name]
    if number and not any(reference_key(name, number) in known.versions for name in names):
        raise BadData(
            f"There is no reference {number}; `driftgauge reference list MODEL` shows them."
        )
    return Known(
        {
            name: known.versions.get(reference_key(name, number), known.versions[name])
            for name in names
        }
    )


def _ms(created: str) -> int:
    """Return the time at which a change was made; the beginning if it is not known."""
    return int(datetime.fromisoformat(created).timestamp() * 1000) if created else 0
