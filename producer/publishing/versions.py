"""The model versions that this process publishes events of, made known to the workers before these
events.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

import redis

from driftgauge.producer.publishing.connection import Asking
from driftgauge.producer.publishing.lane import Lanes
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.registry.stages_file import STAGES_FILE

LEAST_VERIFIED: Final = 100
VERIFIED_IN: Final = 10
"""Models that one look verifies at least, and looks that verify all of them."""
FOLDER_S: Final = 2.0
"""Longest wait for the registry folder, in seconds."""


class Versions:
    """Versions by model, and which of them the present connection has yet to publish.

    Parameters
    ----------
    registry
        The registered versions: one that was purged there is not published again.
    """

    def __init__(self, keys: Keys, lanes: Lanes, registry: ModelRegistry) -> None:
        self._keys = keys
        self._registry = registry
        self._lanes = lanes
        self._known: dict[str, dict[str, bytes]] = {}
        self._awaited: dict[str, dict[str, bytes]] = {}

    def add(self, model: str, version: str, packed: bytes) -> None:
        """Make a version known; it is published before its first event."""
        self._known.setdefault(model, {})[version] = packed
        self._awaited.setdefault(model, {})[version] = packed

    @property
    def models(self) -> list[str]:
        """The models that have versions."""
        return list(self._known)

    @property
    def waiting(self) -> bool:
        """Whether some versions are to be published."""
        return bool(self._awaited)

    def awaited(self, model: str) -> bool:
        """Tell whether events of a model must wait for its versions."""
        return model in self._awaited

    async def publish_again(self) -> None:
        """Publish all versions again: the server of a new connection may not have them."""
        await self.forget_purged()
        self.await_again(self._known)

    def await_again(self, models: Iterable[str]) -> None:
        """Let the events of some models wait until their versions are published again."""
        for model in models:
            self._awaited[model] = dict(self._known[model])

    async def publish(
        self,
        asking: Asking,
        refused: Callable[[str, Exception], None],
        alone: tuple[type[Exception], ...] = (),
    ) -> bool:
        """Publish the versions that are due; a model whose versions are refused is held. Return
        whether a model is no longer held.

        Parameters
        ----------
        refused
            Function that is told of each refusal.
        alone
            Further errors that hold the model that they are met with, and no other.
        """
        held = set(self._lanes.held)
        for model, versions in list(self._awaited.items()):
            fields = [
                part for version, packed in versions.items() for part in (version.encode(), packed)
            ]
            try:
                await asking.one(b"SADD", self._keys.models.encode(), model.encode())
                await asking.one(b"HSET", self._keys.versions(model).encode(), *fields)
            except redis.exceptions.ReadOnlyError:  # the server is left
                raise
            except redis.ResponseError as error:  # its events are spooled
                self._lanes.held.add(model)
                refused(model, error)
            except alone:
                self._lanes.held.add(model)
            else:
                self._lanes.held.discard(model)
                if self._awaited.get(model) == versions:  # none was added meanwhile
                    del self._awaited[model]
        return not held <= self._lanes.held

    async def verify(self, asking: Asking) -> list[str]:
        """Look whether what was published is still there; return the models of which something is
        gone, whose versions are published again. Of many models some are looked at in turn, and all
        once one of them is gone.
        """
        models = [model for model in self._known if model not in self._awaited]
        most = max(LEAST_VERIFIED, len(models) // VERIFIED_IN)
        turn, rest = models[:most], models[most:]
        gone = await self._gone(asking, turn)
        if gone:
            gone |= await self._gone(asking, rest)
            await self.forget_purged()
        for model in self._known.keys() & set(turn):  # to the end of the queue
            self._known[model] = self._known.pop(model)
        self.await_again(gone & self._known.keys())
        return sorted(gone & self._known.keys())

    async def _gone(self, asking: Asking, models: Sequence[str]) -> set[str]:
        """Return those models of which something is gone."""
        if not models:
            return set()
        names = [(model, version) for model in models for version in self._known[model]]
        commands: list[tuple[str, ...]] = [
            *(("SISMEMBER", self._keys.models, model) for model in models),
            *(("HEXISTS", self._keys.versions(model), version) for model, version in names),
        ]
        replies = await asking.many(commands)
        return {
            model
            for model, reply in zip([*models, *(name for name, _ in names)], replies, strict=True)
            if _is_gone(reply)
        }

    async def forget_purged(self) -> None:
        """Forget the versions that are in the registry folder no more, though their model is. A
        folder that does not answer keeps no event waiting.
        """
        names = [(model, version) for model, known in self._known.items() for version in known]
        purged: list[tuple[str, str]] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(FOLDER_S):
                purged = await asyncio.to_thread(self._purged, names)
        for model, version in purged:
            for versions in (self._known, self._awaited):
                versions.get(model, {}).pop(version, None)
                if not versions.get(model, True):
                    del versions[model]

    def _purged(self, names: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        there = {model: self._registry.versions(model) for model in {model for model, _ in names}}
        known = {
            model
            for model, versions in there.items()
            if versions or self._registry.storage.is_file(f"{model}/{STAGES_FILE}")
        }
        return [
            (model, version)
            for model, version in names
            if model in known and version not in there[model]
        ]


def _is_gone(reply: Any) -> bool:
    """Tell by the reply to a look whether something is not there. Where nobody may look it counts
    as there; one of another type is gone: publishing it again says so.
    """
    if isinstance(reply, redis.ResponseError):
        return not isinstance(reply, redis.exceptions.NoPermissionError)
    return not reply
