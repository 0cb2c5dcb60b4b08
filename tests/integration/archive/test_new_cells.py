"""The world moves beyond a reference's cells: an accepted one has nearly all rows in one cell,
and what moves there is not seen; a new version with cells of its own sees it.
"""

import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import redis
from click.testing import CliRunner

from driftgauge.consumer.commands.backtest import backtest
from driftgauge.consumer.commands.kept.export import export
from driftgauge.consumer.commands.references import accept
from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.offline.registration import register_version
from driftgauge.consumer.offline.submission import Submission
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.reference.profile import ColumnReference, ReferenceProfile
from driftgauge.shared.registry.reference_store import ReferenceStore
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.versions.gates import Gates
from tests.consumer.builders import event, published, traffic
from tests.integration.plant import (
    MODEL,
    append,
    counters,
    judged_all,
    settings_of,
    wait_for,
    worker_thread,
)

MADE = published(rows=4000)
VERSION = msgspec.structs.replace(
    MADE, manifest=msgspec.structs.replace(MADE.manifest, task="monitor", gates=Gates(methods=()))
)
MOVED, ROWS, LATER = 12.0, 3000, 2500
"""How far the smooth feature moves, in its standard deviations; rows then, and further ones."""


def events(
    seed: int, shift: float, start_ms: int, rows: int, first: int, version: str
) -> list[Entry]:
    random = np.random.default_rng(seed)
    return [
        event(start_ms + place, first + place, row, version, prediction=float(place % 50))
        for place, row in enumerate(traffic(random, rows, shift))
    ]


def largest(column: ColumnReference) -> float:
    """Return the share of the rows with a value that the fullest cell has."""
    there = column.counts[:-1]
    return max(there) / sum(there)


def run(command: Any, *given: str) -> Any:
    found = CliRunner().invoke(command, [MODEL, *given], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return msgspec.json.decode(found.stdout) if "--json" in given else found.stdout


def as_a_file(registry: ModelRegistry, folder: Path) -> ReferenceProfile:
    """Export what is archived, and register it as a file."""
    rows, schema = folder / "rows.parquet", folder / "schema.json"
    run(export, "--version", "1.0.0", "--format", "parquet", "--output", str(rows))
    schema.write_bytes(msgspec.json.encode(VERSION.schema))
    given = Submission(
        MODEL, rows, "9.0.0", schema_file=schema, prediction_column="prediction", task="monitor"
    )
    return register_version(registry, given)[1].reference


def test_what_moves_within_a_moved_world_is_found(
    client: redis.Redis,
    redis_url: str,
    keys: Keys,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Archived rows become the reference of a new version, with the cells that registration makes
    of them as a file. A further shift by one standard deviation is then found, live and by a
    backtest of the archive; the version with the cells of before, whose accepted reference is of
    the same rows, does not find it in the same rows.
    """
    registry = ModelRegistry(tmp_path / "registry")
    registry.register(VERSION)
    registry.promote(MODEL, "1.0.0", actor="test")
    client.hset(keys.versions(MODEL), "1.0.0", VERSION.pack())
    client.sadd(keys.models, MODEL)
    more = {"archive_url": str(tmp_path / "archive"), "archive_seconds": 0.05, "archive_rows": 900}
    given = settings_of(redis_url, keys, reports_kept=0, pane_events=100, **more)
    log = keys.log(MODEL, 0)
    for name, value in {
        "REDIS_URL": redis_url,
        "KEY_PREFIX": keys.prefix,
        "REGISTRY_DIR": tmp_path / "registry",
        "ARCHIVE_URL": tmp_path / "archive",
        "PANE_EVENTS": 100,
        "EXPECTED_EVENTS_PER_DAY": 5000,
    }.items():
        monkeypatch.setenv(f"DRIFTGAUGE_{name}", str(value))

    def settled(number: int) -> None:
        """Wait until so many events are counted, archived and judged."""
        wait_for(lambda: counters(client, keys).events >= number, "the events")
        last = client.xrevrange(log, count=1)[0][0].decode()

        def archived() -> str:
            return (client.hget(keys.archive(MODEL, 0), "offset") or b"0-0").decode()  # type: ignore[union-attr]  # bytes

        wait_for(lambda: EntryId.parse(archived()) >= EntryId.parse(last), "the archive")
        wait_for(lambda: judged_all(client, keys), "judging")

    with worker_thread(given):
        now = int(time.time() * 1000)
        append(client, log, events(1, MOVED, now - 3_600_000, ROWS, 1, "1.0.0"))
        settled(ROWS)
        since = ("--from-archive", "--since", "2h", "--reason", "moved", "--json")
        accepted = run(accept, *since)
        assert (accepted["reference"], accepted["rows"]) == (1, ROWS)
        made = run(accept, *since, "--as-version", "1.0.1", "--promote")
        assert (made["version"], made["rows"], made["stage"]) == ("1.0.1", ROWS, "production")
        new = registry.load(MODEL, "1.0.1")
        assert new.reference == as_a_file(registry, tmp_path)
        held = ReferenceStore(registry, MODEL, "1.0.0").load(1).profile
        assert largest(held.columns[0]) > 0.99
        assert largest(new.reference.columns[0]) < 0.1

        client.hset(keys.versions(MODEL), "1.0.1", new.pack())
        first, start = ROWS + 1, now - 60_000
        for part, shift in enumerate((MOVED, MOVED + 1)):
            for version in ("1.0.0", "1.0.1"):
                rows = events(2 + part, shift, start, LATER, first, version)
                append(client, log, rows, with_ids=False)
                first, start = first + LATER, start + LATER
        settled(ROWS + 4 * LATER)

    def severity(version: str) -> str:
        packed: Any = client.hget(keys.current(MODEL), version)
        snapshot = msgspec.json.decode(packed, type=Snapshot)
        return next(one.severity for one in snapshot.features if one.name == "smooth")

    assert severity("1.0.0") == "ok"
    assert severity("1.0.1") in {"warning", "critical"}
    told = run(backtest, "--from-archive", "--since", "30m", "--json")
    rules = told["today"]["rules"]
    assert {(one["version"], one["feature"]) for one in rules} == {("1.0.1", "smooth")}
    assert {"psi", "e_detector"} <= {one["rule"] for one in rules}
