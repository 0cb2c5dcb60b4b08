"""The stages of a model's versions, and how they change.

    none ──► staging ──► production ──► archived        promote: to staging or production, from any stage
                             ▲              │           rollback: the previous production version comes back
                             └──────────────┘           archive: out of staging, and no longer a way back

One version at most is in production. Whatever leaves production is archived, and stands in the line
of versions that a rollback goes back along; two rollbacks go back two versions. Archiving a version
by hand takes it out of that line.

Pure: `ModelRegistry` stores it as `stages.json`.
"""

import itertools
from typing import Final, Literal

import msgspec

from driftgauge.shared.errors import BadData
from driftgauge.shared.versions.gates import Validation

Stage = Literal["none", "staging", "production", "archived"]
Target = Literal["staging", "production"]
Action = Literal["promote", "rollback", "archive", "validate"]

MAX_HISTORY: Final = 1_000
"""Changes that are kept, about 1 kB each: the API reads the file each second."""
MAX_LINE: Final = 100
"""Most versions that rollbacks can go back."""


class StageChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of a model's history.

    Parameters
    ----------
    time
        ISO 8601 in UTC.
    actor, reason
        Who did it and why.
    version
        The version that came into `stage`; of a validation, the one that was validated.
    replaced
        The version that left production by it.
    forced
        Whether failed gates were overruled.
    validation
        What came of the gates, if they ran.
    """

    time: str
    actor: str
    action: Action
    version: str
    stage: Stage = "none"
    replaced: str = ""
    reason: str = ""
    forced: bool = False
    validation: Validation | None = None


class Stages(msgspec.Struct, frozen=True, omit_defaults=True):
    """Stages and history of one model; a version that is named nowhere is in stage none.

    Parameters
    ----------
    line
        Former production versions, the latest last.
    history
        Oldest first; beyond `MAX_HISTORY` the oldest are forgotten.

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
        if version == self.production:
            return "production"
        if version in self.staging:
            return "staging"
        return "archived" if version in self.archived else "none"

    def promoted(self, to: Target, change: StageChange) -> "Stages":
        """Bring `change.version` to staging or production.

        Raises
        ------
        BadData
            If it is there already, or would leave production for staging.
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
        """Bring the previous production version back, whatever version the change names.

        Raises
        ------
        BadData
            If there is none.
        """
        if not self.line:
            raise BadData(
                "There is no previous production version to roll back to; promote one instead."
            )
        return self._into_production(
            self.line[:-1], msgspec.structs.replace(change, version=self.line[-1])
        )

    def archived_by(self, change: StageChange) -> "Stages":
        """Archive `change.version`: no rollback goes to it any more.

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
        way = [
            name for name in (*self.line, self.production) if name != version
        ]  # no step of it stays in place
        line = tuple(name for name, following in itertools.pairwise(way) if name != following)
        rest = self._without(version)
        moved = msgspec.structs.replace(rest, line=line, archived=(*rest.archived, version))
        return _recorded(moved, change, stage="archived")

    def validated(self, change: StageChange) -> "Stages":
        """Record a validation; no stage changes."""
        return _recorded(self, change, stage=self.stage(change.version))

    def latest_validation(self, version: str) -> Validation | None:
        """Give what the latest recorded validation on data found for a version."""
        found = (
            change.validation for change in reversed(self.history) if change.version == version
        )
        return next(
            (
                validation
                for validation in found
                if validation is not None and validation.data_digest
            ),
            None,
        )

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
