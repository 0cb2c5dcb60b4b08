"""The model versions that were published to Redis: schema and reference, read once each.

The content of Redis is not trusted: a version that cannot be used is logged once and ignored. The
events that name it become dead letters; other versions are not affected.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
import redis

from driftgauge.shared.connections.bulk import Command, ask_all
from driftgauge.shared.connections.cluster import MOVED
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import BadData
from driftgauge.shared.performance import Layout, Measures
from driftgauge.shared.reference.accepted import AcceptedReference, check_fits
from driftgauge.shared.reference.calibration import Calibration
from driftgauge.shared.reference.history import reference_key
from driftgauge.shared.reference.profile import NumericReference, ReferenceProfile
from driftgauge.shared.reference.segments import SegmentLayout
from driftgauge.shared.registry.registry import PublishedVersion
from driftgauge.shared.unpacking import UNREADABLE
from driftgauge.shared.versions.manifest import Shape

log = logging.getLogger("driftgauge.worker")

RECHECK_S = 10.0
"""Interval (s) at which known versions are compared with Redis, since a calibration can be made
again.
"""


def shapes(
    client_of: Callable[[str], redis.Redis], keys: Keys, models: Sequence[str]
) -> dict[str, Shape | None]:
    """Return the shapes of those models that have a published version, None if it cannot be read;
    by one round trip to each server.
    """
    servers: dict[redis.Redis, list[str]] = {}
    for model in models:
        servers.setdefault(client_of(keys.versions(model)), []).append(model)
    found: dict[str, Shape | None] = {}
    for client, names in servers.items():
        commands: list[Command] = [
            ("HRANDFIELD", keys.versions(name), 1, "WITHVALUES") for name in names
        ]
        for name, reply in zip(names, ask_all(client, commands), strict=True):
            if isinstance(reply, MOVED):
                raise reply
            if isinstance(reply, Exception):
                found[name] = None
            elif reply:
                found[name] = None
                with suppress(*UNREADABLE):
                    found[name] = Shape.of(reply[1])
    return found


class PublishedVersions:
    """The published versions of one model, fetched when they are first needed."""

    def __init__(self, client: redis.Redis, keys: Keys, model: str) -> None:
        self._client = client
        self._model = model
        self._key = keys.versions(model)
        self._references_key = keys.references(model)
        self._known: dict[str, PublishedVersion] = {}
        self._accepted: dict[str, PublishedVersion] = {}
        self._packed: dict[str, bytes] = {}
        self._told: set[str] = set()
        self._looked = time.monotonic()

    def fetch(self, names: set[str]) -> dict[str, PublishedVersion]:
        """Return those of some versions that are published and can be used."""
        for name in names - self._known.keys():
            packed: bytes | None = self._client.hget(self._key, name)  # type: ignore[assignment]  # bytes, not str
            if packed is not None:
                self._read(name, packed)
        return {name: self._known[name] for name in names & self._known.keys()}

    def changed(self) -> dict[str, PublishedVersion]:
        """Return the known versions that were published again with another content; checked at most
        every `RECHECK_S`.
        """
        if not self._known or time.monotonic() - self._looked < RECHECK_S:
            return {}
        self._looked = time.monotonic()
        names = list(self._known)
        found: list[bytes | None] = self._client.hmget(self._key, names)  # type: ignore[assignment]  # bytes, not str
        before = dict(self._known)
        for name, packed in zip(names, found, strict=True):
            if packed is not None and packed != self._packed[name]:
                self._packed[name] = packed
                self._read(name, packed)
        return {
            name: version for name, version in self._known.items() if version is not before[name]
        }

    def references(self, wanted: set[tuple[str, int]]) -> dict[str, PublishedVersion]:
        """Return versions with accepted references, by `reference_key`, if both are published and
        can be used.

        Parameters
        ----------
        wanted
            (version, number of its reference); number 0 is the registered reference.
        """
        names = {reference_key(*pair): pair for pair in wanted if pair[1]}
        base = self.fetch({version for version, _ in names.values()})
        for name, (version, _) in names.items():
            if name not in self._accepted and version in base:
                packed: bytes | None = self._client.hget(self._references_key, name)  # type: ignore[assignment]  # bytes
                if packed is not None:
                    self._read_reference(name, base[version], packed)
        return {name: self._accepted[name] for name in names if name in self._accepted}

    def require_references(self, wanted: set[tuple[str, int]]) -> None:
        """Check that the accepted references which a checkpoint needs are known.

        Raises
        ------
        BadData
            If one is not; the message names it.
        """
        found = self.references(wanted)
        for version, number in sorted(wanted):
            if number and reference_key(version, number) not in found:
                raise BadData(
                    f"Reference {number} of {self._model} {version} is in use, but not in "
                    f"{self._references_key} "
                    f"(any more), or cannot be read there. Publish it again: `driftgauge reference "
                    f"publish {self._model}`."
                )

    def all(self) -> dict[str, PublishedVersion]:
        """Return every published version that can be used."""
        names: list[bytes] = self._client.hkeys(self._key)  # type: ignore[assignment]  # bytes, not str
        return self.fetch({name.decode(errors="replace") for name in names})

    def require_any(self) -> None:
        """Check that the model is registered.

        Raises
        ------
        BadData
            If no version of it is published any more: then it is not the events that are wrong.
        """
        if not self._client.exists(self._key):
            raise BadData(
                f"{self._key} is gone: no version of {self._model} is published any more. An API "
                f"that serves it publishes it again by itself; is one running?"
            )

    def require(self, names: set[str], checkpoint: str) -> None:
        """Check that the versions which a checkpoint needs are known.

        Raises
        ------
        BadData
            If some are not; the message names them.
        """
        gone = sorted(names - self._known.keys())
        if gone:
            raise BadData(
                f"{checkpoint} holds the state of {self._model} {', '.join(gone)}, which is not in "
                f"{self._key} (any more), or cannot be read there. Publish it again: start the API "
                f"with a registry folder that has it, from a backup if need be."
            )

    def _read(self, name: str, packed: bytes) -> None:
        try:
            version = PublishedVersion.unpack(packed)
            _check(version)
        except UNREADABLE as error:
            if name not in self._told:
                log.error(  # noqa: TRY400  the message says all
                    "%s %s in %s cannot be used (%s); its events are dead letters until it is "
                    "published again.",
                    self._model,
                    name,
                    self._key,
                    error,
                )
            self._told.add(name)
        else:
            self._known[name] = version
            self._packed[name] = packed

    def _read_reference(self, name: str, version: PublishedVersion, packed: bytes) -> None:
        try:
            accepted = AcceptedReference.unpack(packed)
            check_fits(accepted, version.reference)
            found = msgspec.structs.replace(
                version, reference=accepted.profile, calibration=accepted.calibration
            )
            _check(found)
        except UNREADABLE as error:
            if name not in self._told:
                log.error(  # noqa: TRY400  the message says all
                    "%s %s in %s cannot be used (%s).",
                    self._model,
                    name,
                    self._references_key,
                    error,
                )
            self._told.add(name)
        else:
            self._accepted[name] = found


def _check(version: PublishedVersion) -> None:
    """Check that reference and calibration have the schema's columns, on which counting and judging
    rely.
    """
    wanted = [kind for kind in version.schema.kinds if kind is not None]
    found = [
        "numeric" if isinstance(column, NumericReference) else "categorical"
        for column in version.reference.columns
    ]
    features = len(version.schema.features)
    if version.calibration is not None:
        _check_calibration(version.calibration, version.reference)
    if found not in (wanted, wanted[:features]):
        raise ValueError(
            f"its reference has the columns {', '.join(found)}, its schema {', '.join(wanted)}"
        )
    if version.schema.segments or version.reference.segments:
        _check_segments(version)


def _check_segments(version: PublishedVersion) -> None:
    """Check that the reference has the segments that follow from its columns and the schema, with
    all their counts.
    """
    reference, names = version.reference, version.schema.segments
    found = [held.feature for held in reference.segments]
    if found != list(names) or not set(names) <= {column.name for column in reference.columns}:
        raise ValueError(
            f"its reference has the segments {', '.join(found)}, its schema {', '.join(names)}"
        )
    layout = SegmentLayout.planned(reference, names)
    shapes = [
        (held.values, {len(bins) for bins in held.counts}, len(held.counts))
        for held in reference.segments
    ]
    if shapes != [(values, {layout.bins}, len(values) + 1) for values in layout.values]:
        raise ValueError("its segments have other values or bins than its reference")
    measured, form = version.performance, Layout.of(version.schema, reference)
    if measured is None or form is None:
        return
    if len(measured.segments) not in {
        0,
        layout.size * Measures.of_version(form, reference, measured.mean_error).size,
    }:
        raise ValueError("its performance is of other segments than its reference")


def _check_calibration(calibration: Calibration, reference: ReferenceProfile) -> None:
    """Check that a calibration is of these columns and their bins."""
    names = [feature.name for feature in calibration.features]
    if names != [column.name for column in reference.columns]:
        raise ValueError(f"its calibration is of the columns {', '.join(names)}")
    bins = [max(column.bin_of_cell) + 1 for column in reference.columns]
    try:
        counts = calibration.timeline.counts
    except TypeError as error:  # of numpy, for bytes that name no type
        raise ValueError(f"its calibration's days cannot be read: {error}") from error
    if list(calibration.timeline.bins) != bins or counts.shape[1] != sum(bins):
        raise ValueError("its calibration has other bins than its reference")
