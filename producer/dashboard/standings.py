"""How all models stand, for the overview: read from Redis in a few round trips, at most once a
second for all pages of this process together.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec

from driftgauge.producer.dashboard.views.standings import Standing, sorted_incidents
from driftgauge.producer.parts import Parts
from driftgauge.producer.reading.history import NAME
from driftgauge.producer.watching.watchdog import failing_in
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.refused import Refused, last_hour
from driftgauge.shared.contract.snapshot_parts import Brief
from driftgauge.shared.unpacking import UNREADABLE

AT_ONCE: Final = 100
"""Models of one round trip: requests wait while their answers are read."""
FRESH_S: Final = 1.0
"""Time (s) for which what was read is shown again."""
PAUSE_PER_COST: Final = 4
"""The same in multiples of what reading took of the processor, if that is longer."""

_Form = TypeVar("_Form")


class _Told(msgspec.Struct):
    data: Incident


class Standings:
    """Reads how the models stand, for all pages."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._reading = asyncio.Lock()
        self._found: list[Standing] = []
        self._begun = self._until = 0.0

    async def read(self, *, anew: bool = False) -> list[Standing]:
        """Return all models that Redis knows or that are served here, as they stood a moment ago.

        Parameters
        ----------
        anew
            True if they are wanted as they stand now, since something changed: it waits until they
            may be read again.
        """
        asked = time.monotonic()
        async with self._reading:
            if anew and self._begun < asked:
                await asyncio.sleep(self._until - time.monotonic())
            if time.monotonic() >= self._until:
                self._begun, begun_s = time.monotonic(), time.thread_time()
                self._found = await self._read()
                cost_s = PAUSE_PER_COST * (time.thread_time() - begun_s)
                self._until = time.monotonic() + max(FRESH_S, cost_s)
            return self._found

    async def _read(self) -> list[Standing]:
        parts = self._parts
        known = await parts.pipeline.models()
        found: list[Standing] = []
        for start in range(0, len(known), AT_ONCE):
            found += await self._some(known[start : start + AT_ONCE])
            await asyncio.sleep(0)  # requests have their turn
        served = parts.serving.production
        others = sorted(served.keys() - set(known))
        return found + [Standing(name, serving=served[name].version) for name in others]

    async def _some(self, models: Sequence[str]) -> list[Standing]:
        parts = self._parts
        pipe = parts.reader.pipeline(transaction=False)
        pipe.time()
        for model in models:
            _ask(pipe, parts.keys, model)
        (seconds, _), *replies = await pipe.execute(raise_on_error=False)
        asked = len(replies) // max(len(models), 1)
        served = parts.serving.production
        return [
            _standing(
                model,
                served[model].version if model in served else "",
                int(seconds) * 1000,
                replies[place * asked : (place + 1) * asked],
            )
            for place, model in enumerate(models)
        ]


def _ask(pipe: Any, keys: Keys, model: str) -> None:
    pipe.hvals(keys.brief(model))
    pipe.hvals(keys.open_incidents(model))
    pipe.hvals(keys.refused(model))
    pipe.hget(keys.watchdog(model), "memory")


def _standing(model: str, serving: str, now_ms: int, replies: Sequence[Any]) -> Standing:
    """Describe a model by its replies; a key of another type, or what another release wrote,
    counts as nothing.
    """
    briefs, incidents, refused = (reply if isinstance(reply, list) else [] for reply in replies[:3])
    windows = _decoded(briefs, Brief)
    told = [one.data for one in _decoded(incidents, _Told) if NAME.fullmatch(one.data.id)]
    memory = replies[3]
    return Standing(
        model=model,
        brief=max(windows, key=lambda one: one.created, default=None),
        incidents=sorted_incidents(told),
        serving=serving,
        events=last_hour(_decoded(refused, Refused), now_ms).taken,
        fault=failing_in(memory) if isinstance(memory, bytes) else "",
    )


def _decoded(packed: Sequence[bytes], form: type[_Form]) -> list[_Form]:
    found = []
    for one in packed:
        try:
            found.append(msgspec.json.decode(one, type=form))
        except UNREADABLE:  # another release wrote it: the model's own page says so
            continue
    return found
