"""With `driftgauge backtest MODEL --from-archive --reference N` all rows are held against one
reference, also where the model has several partitions.
"""

import heapq
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from driftgauge.consumer.commands.backtest import backtest
from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.judging.backtest import AlertTracker, rejudge
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.offline.archived.accepting import propose_archived
from driftgauge.consumer.offline.archived.ticks import OpenPane, after_all
from driftgauge.consumer.running.settled import counting_policy, judging_policy
from driftgauge.shared.archive.scan import Range
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.keys import salts_for
from driftgauge.shared.contract.pane import Pane, PaneEntry
from driftgauge.shared.errors import BadData
from driftgauge.shared.registry.reference_store import ReferenceStore
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import read_settings
from driftgauge.shared.versions.manifest import PublishedVersion
from tests.consumer.builders import NOON, count, divided, tick
from tests.consumer.offline.archived.test_panes import MODEL, archived, dense, version

PARTITIONS = 3
ROWS, SPACING_MS = 9000, 1900
SETTINGS = {"PANE_EVENTS": 50, "EXPECTED_EVENTS_PER_DAY": 5000}


def judged(
    logs: Sequence[Sequence[Entry]], made: PublishedVersion, number: int
) -> tuple[dict[str, Any], int]:
    """Count logs and judge them, all against a version's reference; return the verdict as JSON, and
    the number of panes.
    """
    settings = read_settings(pane_events=50, expected_events_per_day=5000)
    one, maps = counting_policy(settings, 0, 1), {"1.0.0": CellMap.of(made)}
    parts: list[list[PaneEntry]] = []
    for partition, log in enumerate(logs):
        policy = replace(one, partition=partition, partitions=PARTITIONS)
        last = EntryId.parse(log[-1][0]).ms
        state = count(log, maps, policy).state(maps)
        assert state.pane is not None
        place = OpenPane(state.pane.start, state.pane.size)
        closing = tick(after_all(policy, last, state.position.clock.logical, place))
        parts.append([entry for _, _, entry in count([*log, closing], maps, policy).panes])
    entries = list(
        heapq.merge(
            *parts,
            key=lambda one: (one.end if isinstance(one, Pane) else one.time, one.partition),
        )
    )
    tracker = AlertTracker()
    policies = [judging_policy(settings, 1)]
    for _, (moved,) in rejudge(entries, MODEL, {"1.0.0": JudgedVersion.of(made, number)}, policies):
        tracker.take(moved)
    panes = [entry for entry in entries if isinstance(entry, Pane)]
    verdict = tracker.verdict(max(pane.end for pane in panes))
    return msgspec.json.decode(msgspec.json.encode(verdict)), len(panes)


def asked(*arguments: str) -> Any:
    """Run the command; return what it printed."""
    ran = CliRunner().invoke(
        backtest, [MODEL, "--from-archive", "--since", "2020-01-01", "--json", *arguments]
    )
    if ran.exception is not None and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    assert ran.exit_code == 0, ran.output
    return msgspec.json.decode(ran.stdout)


def test_all_rows_are_held_against_one_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict is that of counting and judging the log by a version which was registered with
    this reference: alarms of detectors, alerts and incidents, to the last field. 0 is the
    registered one, and a reference that no version has is refused.
    """
    made = version()
    manifest = msgspec.structs.replace(
        made.manifest, partitions=PARTITIONS, salts=salts_for(MODEL, PARTITIONS)
    )
    made = msgspec.structs.replace(made, manifest=manifest)
    registry, store = ModelRegistry(tmp_path / "registry"), FolderStore(tmp_path / "archive")
    registry.register(made)
    logs, told = divided(dense(ROWS, SPACING_MS), PARTITIONS), list[str]()
    for partition, log in enumerate(logs):
        archived(store, log, made, partition)
    drifted = Range(MODEL, since=NOON + SPACING_MS * ROWS * 3 // 4)
    found = propose_archived(store, made, drifted, 500, told.append)
    assert not told
    assert found.profile.rows > ROWS // 5
    kept = ReferenceStore(registry, MODEL, "1.0.0")
    kept.accept(found, who="ann", reason="as it is since then")
    for name, value in {
        **SETTINGS,
        "REGISTRY_DIR": tmp_path / "registry",
        "ARCHIVE_URL": tmp_path / "archive",
    }.items():
        monkeypatch.setenv(f"DRIFTGAUGE_{name}", str(value))

    verdicts = {}
    for number in (0, 1):
        held = msgspec.structs.replace(made, reference=found.profile) if number else made
        expected, panes = judged(logs, held, number)
        again = asked("--reference", str(number))
        assert again["resolution"] == {"pane": panes}
        assert again["today"] == expected
        verdicts[number] = {(one["feature"], one["rule"]) for one in expected["rules"]}
    assert verdicts[0] != verdicts[1]
    assert {rule for _, rule in verdicts[0]} >= {"psi", "e_detector"}
    assert verdicts[1]
    with pytest.raises(BadData, match="There is no reference 2"):
        asked("--reference", "2")
