"""A file as traffic: the same panes as the log would have given, and its verdict on the command
line.
"""

from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from driftgauge.consumer.commands.backtest import backtest
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.judging.backtest import rejudge
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.offline.backtesting import FileRows, counted, log_of
from driftgauge.consumer.offline.calibrating import TimedRows, make_calibration
from driftgauge.shared.contract.pane import Pane
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.frames import columns_of, infer
from driftgauge.shared.registry.creation import new_manifest
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.rules.drift import PSI_WEEK
from driftgauge.shared.versions.manifest import PublishedVersion
from tests.consumer.builders import NOON, SCHEMA, cell_map, count, event, published, tick, traffic

VERSION = published(rows=2000)
POLICY = CountingPolicy(pane_events=50)
SPACING_MS = 300_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write rows that drift after 1,500, in no order."""
    random = np.random.default_rng(4)
    frame = pd.DataFrame(
        traffic(random, 1500) + traffic(random, 1000, shift=1.5),
        columns=[f.name for f in SCHEMA.features],
    )
    frame["made"] = random.normal(size=len(frame))
    frame["when"] = pd.to_datetime(
        NOON + SPACING_MS * np.arange(len(frame)), unit="ms", utc=True
    ).astype(str)
    path = tmp_path / "rows.csv"
    frame.sample(frac=1, random_state=0).to_csv(path, index=False)
    return path


def test_a_file_is_counted_as_the_log_is(file: Path) -> None:
    """Panes and alarms of a file are those that the same rows give as log entries."""
    rows = FileRows(file, "when", "made")
    frame = pd.read_csv(file).sort_values("when", kind="stable")
    frame = frame.astype(object).where(frame.notna(), None)
    log = log_of(VERSION, rows, 1000.0)
    entries = [
        event(NOON + SPACING_MS * place, place + 1, row[:-2], prediction=row[-2])
        for place, row in enumerate(
            frame[[f.name for f in SCHEMA.features] + ["made", "when"]].itertuples(
                index=False, name=None
            )
        )
    ]
    end = NOON + SPACING_MS * (len(frame) - 1) + POLICY.pane_seconds * 1000
    wanted = count([*entries, tick(end)], {"1.0.0": cell_map(VERSION)}, POLICY)
    found = list(counted(VERSION, log, POLICY))
    assert [entry for entry in found if isinstance(entry, Pane)] == wanted.closed
    assert len(found) >= len(wanted.closed)
    assert sum(pane.events for pane in wanted.closed) == 2500


def test_a_file_without_times_is_spread_over_the_expected_traffic(file: Path) -> None:
    """Rows without times come in their order, as many a day as are expected, and that is said."""
    log = log_of(VERSION, FileRows(file, None, "made"), 1000.0)
    times = [int(entry_id.split(b"-")[0]) for entry_id, _ in log.entries]
    assert (times[1000] - times[0], len(times)) == (86_400_000, 2500)
    assert log.remarks == [
        "The file has no times: its rows are taken as 1,000 a day from 2025-01-01 on."
    ]


def test_what_the_file_lacks_is_named(file: Path) -> None:
    """A missing column, or predictions that nothing makes, are errors that say what to give."""
    with pytest.raises(BadData, match="has no column nothing"):
        log_of(VERSION, FileRows(file, "nothing", "made"), 1000.0)
    with pytest.raises(BadData, match="--prediction-column"):
        log_of(VERSION, FileRows(file, "when"), 1000.0)


def test_verdicts_side_by_side(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command needs no Redis for a file; another policy stands beside today's, as a table and
    as JSON.
    """
    monkeypatch.setenv("DRIFTGAUGE_REGISTRY_DIR", str(tmp_path / "registry"))
    monkeypatch.setenv("DRIFTGAUGE_EXPECTED_EVENTS_PER_DAY", "288")
    registry = ModelRegistry(tmp_path / "registry")
    registry.register(VERSION)
    registry.promote("plant", "1.0.0", actor="test")
    policy = tmp_path / "calm.toml"
    policy.write_text("[models.plant]\npsi_warning = 5.0\npsi_critical = 9.0\n")
    asked = [
        "plant",
        "--data",
        str(file),
        "--time-column",
        "when",
        "--prediction-column",
        "made",
        "--policy",
        str(policy),
    ]
    found = msgspec.json.decode(CliRunner().invoke(backtest, [*asked, "--json"]).stdout)
    rules = {
        name: {told["rule"] for told in found[name]["rules"] if told["feature"] == "smooth"}
        for name in ("today", "policy")
    }
    assert rules["today"] >= {"psi", "e_detector"}
    assert "psi" not in rules["policy"]
    assert found["start"] == NOON
    shown = CliRunner().invoke(backtest, asked).output
    assert "smooth" in shown
    assert "policy: in alarm" in shown
    assert "judged by" in shown


@pytest.mark.long
def test_a_drifting_year_is_few_alerts(data: Path, tmp_path: Path) -> None:
    """Steel's last 36 weeks against its first 16, in the order of time: its usage halves, which
    must alarm and go on; but the alarms are few, and there is no flood of reminders.

    Bounds: the thresholds promise an episode in 30 days, 9 in 8.6 months. An episode may move each
    of the 7 ordered columns once a month, or see it come back, but what follows the first within a
    week is told with it: 2 told in a month. What goes on is told once in each of 36 weeks, by one
    column for all, and what was told to fire is told to be over.
    """
    frame = pd.read_csv(data / "steel.csv")
    known = 16 * 7 * 96
    frame[:known].to_csv(tmp_path / "reference.csv", index=False)
    frame[known:].to_csv(tmp_path / "later.csv", index=False)
    names = frame.columns.drop(["date", "Usage_kWh"])
    schema = infer(
        frame.loc[: known - 1, names], {}, frame["Usage_kWh"][:known], "Usage_kWh", nullable=True
    )
    usage = frame["Usage_kWh"][:known].to_numpy(float)
    profile = build_profile(schema, columns_of(frame[:known], schema), usage)
    version = PublishedVersion(new_manifest("steel", "1.0.0", "monitor"), schema, profile)
    timed = TimedRows(tmp_path / "reference.csv", "date", "Usage_kWh")
    version = msgspec.structs.replace(version, calibration=make_calibration(version, timed)[0])
    log = log_of(version, FileRows(tmp_path / "later.csv", "date", "Usage_kWh"), 1000.0)
    panes, judged = counted(version, log, CountingPolicy()), {"1.0.0": JudgedVersion.of(version)}
    alerts = [
        alert
        for _, (found,) in rejudge(panes, "steel", judged, [JudgingPolicy()])
        for alert in found.alerts
    ]
    began = [alert for alert in alerts if (alert.state, alert.change) == ("firing", "state")]

    assert len(alerts) < 300
    assert {alert.rule for alert in alerts} == {PSI_WEEK.name, "out_of_range"}
    fired = [alert for alert in began if alert.rule == PSI_WEEK.name]
    resolved = [
        alert for alert in alerts if alert.rule == PSI_WEEK.name and alert.state == "resolved"
    ]
    turns = [(alert.updated, 1) for alert in fired] + [(alert.updated, -1) for alert in resolved]
    firing = np.cumsum([turn for _, turn in sorted(turns, key=lambda one: (one[0], -one[1]))])
    episodes = int((np.diff(firing > 0, prepend=False) & (firing > 0)).sum())
    assert 1 <= episodes <= 9
    assert len(fired) <= 7 * 9
    assert sum(alert.notify for alert in fired) <= 2 * 9
    assert (
        sum(
            alert.notify
            for alert in alerts
            if alert.rule == PSI_WEEK.name and alert.change == "reminder"
        )
        <= 36
    )
    told = {
        alert.group.id
        for alert in alerts
        if alert.rule == PSI_WEEK.name and alert.notify and alert.group
    }
    assert len(told) <= 36 + 2 * 9 + 2 * 9
    assert firing[-1] > 0, "what drifted for good alarms at the end"
    outside = [alert.feature for alert in began if alert.rule == "out_of_range"]
    assert max(outside.count(name) for name in outside) <= 2, "values beyond the range flap"


@pytest.mark.long
def test_a_year_of_real_rows(data: Path) -> None:
    """35,040 rows of 15 minutes become panes of whole hours that hold every row, each within its
    day.
    """
    frame = pd.read_csv(data / "steel.csv")
    features = frame.drop(columns=["date"])
    schema = infer(features.head(12_000), {}, None, "", nullable=True)
    reference = build_profile(schema, columns_of(features.head(12_000), schema), None)
    version = PublishedVersion(new_manifest("steel", "1.0.0", "monitor"), schema, reference)
    log = log_of(version, FileRows(data / "steel.csv", "date"), 1000.0)
    panes = [
        entry
        for entry in counted(version, log, CountingPolicy(detectors=()))
        if isinstance(entry, Pane)
    ]
    assert sum(pane.events for pane in panes) == len(frame) == 35_040
    assert all(pane.start // 86_400_000 == (pane.end - 1) // 86_400_000 for pane in panes)
