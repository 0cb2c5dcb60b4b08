"""The process that compares a slice: `driftgauge slice`, within bounds of its own. Whatever a
condition does to that process, the API goes on.
"""

import logging
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from driftgauge.producer.confined import Ended, environment_with, run
from driftgauge.shared.confinement import LEAST_MEMORY
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.settings import Settings

QUERY_S: Final = 30
"""Longest time of one query, in seconds."""
LONGEST_S: Final = 120
"""Longest time of all, in seconds."""
MEMORY_MB: Final = 512
"""Most memory of a query, in MB."""
ANSWERED: Final = frozenset((0, 1, 3, 4))
"""Exit codes with which the command has printed a comparison."""
NEEDED: Final = (
    "ARCHIVE_URL",
    "REGISTRY_DIR",
    "REGISTRY_URL",
    "POLICY_FILE",
    "MIN_REFERENCE_ROWS",
    "MIN_WINDOW_ROWS",
)
"""The settings that a slice reads."""

logger = logging.getLogger("driftgauge.producer")


class Asked(msgspec.Struct, frozen=True):
    """What a person asks."""

    model: str
    condition: str
    since: str
    against: str


class Told(msgspec.Struct, frozen=True):
    """What the command said.

    Parameters
    ----------
    snapshot
        None if it could not compare, as `said` tells.
    said
        The fault, or what is to be known of the files.
    """

    snapshot: Snapshot | None
    said: str


async def sliced(asked: Asked, settings: Settings) -> Told:
    """Run the command and return what it said."""
    arguments = [
        "slice",
        "--json",
        f"--since={asked.since}",
        f"--against={asked.against}",
        f"--timeout={QUERY_S}",
        f"--memory={MEMORY_MB}",
        "--",
        asked.model,
        asked.condition,
    ]
    with tempfile.TemporaryDirectory(prefix="driftgauge-") as folder:
        environment = environment_with(settings, NEEDED, Path(folder))
        ended = await run(arguments, LEAST_MEMORY, LONGEST_S, environment)
    if ended.code in ANSWERED and ended.output:  # Python itself ends by 1 after a fault of ours
        return Told(msgspec.json.decode(ended.output, type=Snapshot), ended.complaint.strip())
    return Told(None, _fault(ended))


def _fault(ended: Ended) -> str:
    if ended.lacked_memory:
        return "It took too much memory; ask for fewer days."
    if ended.lacked_time:
        return f"It took longer than {LONGEST_S} s; ask for fewer days."
    if not ended.error:
        logger.error("A slice ended with exit code %s: %s", ended.code, ended.complaint[-2000:])
        return "It failed by a fault that is not yours; see the API's log."
    return ended.error
