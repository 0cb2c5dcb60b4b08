"""The process that exports: `driftgauge export`, whose output is passed on while it runs. However
many rows there are, the API keeps a block of them.
"""

import logging
import tempfile
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Final, Literal

from driftgauge.producer.confined import Ended, environment_with, stream
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.reading.predictions.log import PredictionFilter
from driftgauge.shared.confinement import LEAST_MEMORY
from driftgauge.shared.moments import iso
from driftgauge.shared.settings import Settings

Form = Literal["csv", "jsonl", "parquet"]
LONGEST_S: Final = 3600
"""Longest time of an export, in seconds."""
MOST: Final = 2
"""Exports of an API process that run at the same time."""
RETRY_S: Final = 30
NEEDED: Final = ("ARCHIVE_URL", "REDIS_URL", "KEY_PREFIX")
"""The settings that an export reads."""

logger = logging.getLogger("driftgauge.producer")


class Incomplete(Exception):
    """An export ended before its end: the connection breaks off, so that nobody takes what came for
    all.
    """


class Exports:
    """The exports of an API process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._running = 0

    async def begin(
        self, model: str, wanted: PredictionFilter, form: Form
    ) -> AsyncGenerator[bytes, None]:
        """Begin an export, and return its blocks when the first one is there.

        Raises
        ------
        Problem
            503 if too many run, or it cannot begin; 422 if a filter cannot be.
        """
        arguments = _arguments(model, wanted, form)
        if any("\0" in one for one in arguments):
            raise Problem(422, "A filter has a character that no text can have (U+0000).")
        if self._running == MOST:
            raise Problem(
                503,
                f"This API process writes {MOST} downloads already; ask again when one is done.",
                (),
                {"Retry-After": str(RETRY_S)},
            )
        blocks = self._blocks(arguments)
        first = await anext(blocks, b"")
        return _all(first, blocks)

    async def _blocks(self, arguments: list[str]) -> AsyncGenerator[bytes, None]:
        self._running += 1
        has_begun = False
        try:
            with tempfile.TemporaryDirectory(prefix="driftgauge-") as folder:
                environment = environment_with(self._settings, NEEDED, Path(folder))
                environment["TMPDIR"] = folder  # what it leaves when it is killed goes with it
                output = stream(arguments, LEAST_MEMORY, LONGEST_S, environment)
                async with aclosing(output):
                    async for block in output:
                        if isinstance(block, Ended):
                            _check(block, has_begun=has_begun)
                        else:
                            has_begun = True
                            yield block
        finally:
            self._running -= 1


async def _all(first: bytes, blocks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(blocks):
        yield first
        async for block in blocks:
            yield block


def _arguments(model: str, wanted: PredictionFilter, form: Form) -> list[str]:
    given = {
        "since": None if wanted.since_ms is None else iso(wanted.since_ms),
        "until": None if wanted.until_ms is None else iso(wanted.until_ms),
        "version": wanted.version,
        "least": wanted.least,
        "most": wanted.most,
        "prediction": wanted.prediction,
        "id": wanted.id,
    }
    options = [f"--{name}={value}" for name, value in given.items() if value not in {None, ""}]
    return ["export", "--with-log", f"--format={form}", *options, "--", model]


def _check(ended: Ended, *, has_begun: bool) -> None:
    """Raise what is to be told of an export that did not end well."""
    if ended.code == 0:
        return
    said = ended.error or f"It ended with exit code {ended.code}."
    if ended.lacked_time:
        said = f"It took longer than {LONGEST_S} s; ask for fewer days."
    logger.error("A download is not whole: %s\n%s", said, ended.complaint[-2000:])
    if has_begun:
        raise Incomplete(said)
    raise Problem(503, f"The download cannot be written: {said}", (), {"Retry-After": str(RETRY_S)})
