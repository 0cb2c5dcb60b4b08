"""The stages of a model's versions, and how they change.

    none ──► staging ──► production ──► archived
                             ▲              │
                             └── rollback ──┘

- promote: a version of any stage goes to staging or production;
- rollback: the previous production version goes back to production;
- archive: a version that is not in production is archived, and no rollback returns to it;
- purge: a version that no request can reach is removed, and its number never used again.

At most one version is in production. A version that is replaced there is archived and joins the
line of versions that rollbacks return along: two rollbacks go back two versions.

A rollback that nobody looks at, by a hook, is refused where it could go to and fro: `unattended`.

`ModelRegistry` stores stages and history as `stages.json`.
"""

import itertools
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from driftgauge.shared.errors import BadData
from driftgauge.shared.moments import IsoTime
from driftgauge.shared.versions.gates import Validation

Stage = Literal["none", "staging", "production", "archived"]
Target = Literal["staging", "production"]
Action = Literal["promote", "rollback", "archive", "validate", "purge"]

MAX_HISTORY: Final = 1_000
"""Most entries of the history, about 1 kB each; the API reads the file every second."""
MAX_LINE: Final = 100
"""Most versions that rollbacks can go back."""
LEFT_FOR: Final = timedelta(days=7)
"""Time after a rollback in which no unattended one goes to the version that was left."""


class StageChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of a model's history: a change of a version's stage, or a validation.

    Parameters
    ----------
    time
        Time of the change, ISO 8601 in UTC.
    actor, reason
        Name of who did it, and the reason.
    version
        The version that entered `stage`, or that was validated.
    replaced
        The version that left production because of it; empty if none did.
    forced
        True if failed gates were overruled.
    validation
        The results of the gates; None if they were not run.
    """

    time: IsoTime
    actor: str
    action: Action
    version: str
    stage: Stage = "none"
    replaced: str = ""
    reason: str = ""
    forced: bool = False
    validation: Validation | None = None


class Stages(msgspec.Struct, frozen=True, omit_defaults=True):
    """Stages and history of one model; a version that is not named here is in stage none.

    Parameters
    ----------
    production
        The version in production; empty if there is none.
    line
        Former production versions that rollbacks return to, the latest last; at most `MAX_LINE`.
    staging, archived
        The versions in these stages.
    history
        Entries of the history, oldest first; at most the latest `MAX_HISTORY`.

    Examples
    --------
    >>> change = StageChange("2026-01-01T00:00:00+00:00", "ann", "promote", "1.0.0")
    >>> first = Stages().promoted("production", change)
    >>> second = first.promoted("production", msgspec.structs.replace(change, version="2.0.0"))
    >>> second.production, second.stage("1.0.0"), second.line
    ('2.0.0', 'archived', ('1.0.0',))
    >>> second.rolled_back(change).production
    '1.0.0'
    """

    production: str = ""
    line: tuple[str, ...] = ()
    staging: tuple[str, ...] = ()
    archived: tuple[str, ...] = ()
    history: tuple[StageChange, ...] = ()

    def stage(self, version: str) -> Stage:
        """Return the stage of a version."""
        if version == self.production:
            return "production"
        if version in self.staging:
            return "staging"
        return "archived" if version in self.archived else "none"

    def promoted(self, to: Target, change: StageChange) -> "Stages":
        """Return the stages after `change.version` was promoted to staging or production.

        Raises
        ------
        BadData
            If it is there already, or would go from production to staging.
        """
        version = change.version
        if self.stage(version) == to:
            raise BadData(f"{version} is in {to} already; nothing was changed.")
        if version == self.production:
            raise BadData(
                f"{version} is in production; to take it out, promote another version, or roll "
                f"back."
            )
        if to == "staging":
            moved = msgspec.structs.replace(
                self._without(version), staging=(*self.staging, version)
            )
            return _recorded(moved, change, stage="staging")
        line = (*self.line, self.production)[-MAX_LINE:] if self.production else self.line
        return self._into_production(line, change)

    def rolled_back(self, change: StageChange) -> "Stages":
        """Return the stages after a rollback to the previous production version.

        Parameters
        ----------
        change
            The entry for the history; its version is replaced by the previous one.

        Raises
        ------
        BadData
            If there is no previous version.
        """
        if not self.line:
            raise BadData(
                "There is no previous production version to roll back to; promote one instead."
            )
        return self._into_production(
            self.line[:-1], msgspec.structs.replace(change, version=self.line[-1])
        )

    def unattended(self, leaving: str, change: StageChange) -> "Stages":
        """Return the stages after a rollback that nobody looks at.

        It is made only if `leaving` is in production and came there by a promotion, and the version
        before it was not left by a rollback in the last 7 days. So no two of them follow each
        other without a promotion in between, and none goes where one came from.

        Parameters
        ----------
        leaving
            The version that is to be replaced.

        Raises
        ------
        BadData
            If it is not made, with the reason, or if there is no previous version.
        """
        if self.production != leaving:
            raise BadData(f"{leaving} is not in production; nothing was changed.")
        came = (one for one in reversed(self.history) if one.stage == "production")
        if next((one.action for one in came), "promote") == "rollback":
            raise BadData(
                f"{leaving} came into production by a rollback, and no unattended one follows "
                "another. Roll back, or promote another version, by hand."
            )
        moved = self.rolled_back(change)
        now = datetime.fromisoformat(change.time)
        if any(
            one.action == "rollback"
            and one.replaced == moved.production
            and now - datetime.fromisoformat(one.time) < LEFT_FOR
            for one in self.history
        ):
            raise BadData(
                f"The version before, {moved.production}, was itself left by a rollback in the "
                f"last {LEFT_FOR.days} days. Roll back, or promote another version, by hand."
            )
        return moved

    def archived_by(self, change: StageChange) -> "Stages":
        """Return the stages after `change.version` was archived; no rollback returns to it.

        Raises
        ------
        BadData
            If it is in production, or was archived by hand before.
        """
        version = change.version
        if version == self.production:
            raise BadData(
                f"{version} is in production; promote another version, or roll back, before "
                f"archiving it."
            )
        if version in self.archived and version not in self.line:
            raise BadData(f"{version} is archived already; nothing was changed.")
        # without it two equal versions may follow each other: a rollback between them does nothing
        way = [name for name in (*self.line, self.production) if name != version]
        line = tuple(name for name, following in itertools.pairwise(way) if name != following)
        rest = self._without(version)
        moved = msgspec.structs.replace(rest, line=line, archived=(*rest.archived, version))
        return _recorded(moved, change, stage="archived")

    def purged_by(self, change: StageChange) -> "Stages":
        """Return the stages after `change.version` was removed; no rollback returns to it.

        Raises
        ------
        BadData
            If it is in production or in staging.
        """
        stage = self.stage(change.version)
        if stage in {"production", "staging"}:
            raise BadData(
                f"{change.version} is in {stage}, so requests can reach it; archive it, or promote "
                f"another version, before purging it."
            )
        line = tuple(name for name in self.line if name != change.version)
        moved = msgspec.structs.replace(self._without(change.version), line=line)
        return _recorded(moved, change, stage="none")

    @property
    def purged(self) -> frozenset[str]:
        """The versions that were removed, as far as the history goes back."""
        return frozenset(change.version for change in self.history if change.action == "purge")

    def validated(self, change: StageChange) -> "Stages":
        """Return the same stages with a validation in the history."""
        return _recorded(self, change, stage=self.stage(change.version))

    def latest_validation(self, version: str) -> Validation | None:
        """Return a version's latest recorded validation on data; None if there is none."""
        for change in reversed(self.history):
            validation = change.validation
            if change.version == version and validation is not None and validation.data_digest:
                return validation
        return None

    def _into_production(self, line: tuple[str, ...], change: StageChange) -> "Stages":
        rest, replaced = self._without(change.version), self.production
        archived = (*rest.archived, replaced) if replaced else rest.archived
        moved = msgspec.structs.replace(
            rest, production=change.version, line=line, archived=archived
        )
        return _recorded(moved, change, stage="production", replaced=replaced)

    def _without(self, version: str) -> "Stages":
        return msgspec.structs.replace(
            self,
            staging=tuple(name for name in self.staging if name != version),
            archived=tuple(name for name in self.archived if name != version),
        )


def _recorded(stages: Stages, change: StageChange, stage: Stage, replaced: str = "") -> Stages:
    entry = msgspec.structs.replace(change, stage=stage, replaced=replaced)
    return msgspec.structs.replace(stages, history=(*stages.history, entry)[-MAX_HISTORY:])
