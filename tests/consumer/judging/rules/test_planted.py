"""A rule is a row of the table and the file of its family: who adds one touches nothing else."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from driftgauge.consumer.judging.evaluating.reading import Evidence, Reading
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.rules import findings
from driftgauge.consumer.judging.rules.finding import Finding, OpenAlerts
from driftgauge.consumer.judging.rules.metrics import EvaluatedWindow
from driftgauge.shared import rules
from driftgauge.shared.contract.snapshot import RuleLevel
from driftgauge.shared.wording.titles import rule_words
from tests.consumer.judging.builders import Stream, judge

ROW = '''
"""A rule of a sensor that stands still."""

from driftgauge.shared.rules.base import Rule, declare

STUCK = declare(
    Rule("stood_still", "data_quality", "reference", "", "Stands still", "", action="fix_feed")
)
'''


class Stuck:
    """A family of one rule: `smooth` stands still where it stays in its lowest quarter of cells."""

    @staticmethod
    def findings(
        judged: EvaluatedWindow, open_alerts: OpenAlerts, _policy: JudgingPolicy, /
    ) -> Iterator[Finding]:
        version = judged.evaluation.version
        cells = version.part(judged.evaluation.cells, version.place["smooth"])
        bad = bool(cells[: len(cells) // 4].sum() > 0.9 * cells.sum())
        reading = Reading("critical" if bad else None, quiet=not bad, summary="it stands still")
        found = Finding("smooth", "stood_still", reading, Evidence("rows", 0, 0, None))
        if found.matters(open_alerts):
            yield found

    @staticmethod
    def levels(
        _judged: EvaluatedWindow, _policy: JudgingPolicy, events: float, /
    ) -> Iterator[RuleLevel]:
        yield RuleLevel("stood_still", None, None, None, events, None, "of one column")


@pytest.fixture
def _planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "stuck.py").write_text(ROW)
    rules.__path__.append(str(tmp_path))
    rules.learn()
    monkeypatch.setattr(findings, "FAMILIES", (*findings.FAMILIES, Stuck))
    yield
    rules.__path__.remove(str(tmp_path))
    del rules.RULES["stood_still"]
    del sys.modules[f"{rules.__name__}.stuck"]


@pytest.mark.usefixtures("_planted")
def test_a_row_and_a_family_are_all_that_a_rule_needs() -> None:
    """Its alert fires, asks for its action, explains the drift of its column as broken values do,
    is told by its title, resolves, and its level is shown.
    """
    random = np.random.default_rng(0)
    still = judge(Stream(random).panes(12, shift=-9.0).entries)
    fired = next(
        alert for alert in still.alerts if alert.rule == "stood_still" and alert.state == "firing"
    )
    assert (fired.severity, fired.action, fired.feature) == ("critical", "fix_feed", "smooth")
    assert rule_words(fired.rule) == "Stands still"
    assert "stood_still" in {level.rule for level in still.current["1.0.0"].levels}
    made = Stream(random).panes(12, shift=-9.0).panes(12)
    after = [alert for alert in judge(made.entries).alerts if alert.rule == "stood_still"]
    assert after[-1].state == "resolved"
