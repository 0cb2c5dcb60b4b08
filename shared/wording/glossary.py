"""What the words mean that people meet on the pages: rules, severities, and a few more.

The glossary of the docs has these and the words of the code.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from driftgauge.shared.rules import RULES, rule_of
from driftgauge.shared.rules.base import FAMILY
from driftgauge.shared.wording.titles import title

SEVERITIES: Final[Mapping[str, str]] = {
    "critical": "It matters, and it is not chance: act.",
    "warning": "There is evidence of a change, which may be small: look.",
    "ok": "It was judged, and nothing was found.",
    "insufficient_data": "It cannot be judged yet; the reason beside it says what is lacking.",
    "uncalibrated": "Its rows are ordered in time and the reference is too short: only broken "
    "values are judged.",
    "unreadable": "It is absent, or has no values of its kind.",
    "excluded": "It is left out of drift; the reason beside it says why.",
}
"""Severity to what it asks of people, the worst first."""
WORDS: Final[Mapping[str, str]] = {
    "incident": "One fault as people are told of it: its cause, since when, how large, what to do; "
    "alerts are its evidence.",
    "alert": "A rule that is broken for a column: pending, firing, resolved.",
    "pending": "Found once; an alert fires when it is found a second time.",
    "acknowledged": "A person has seen it: there are no more reminders.",
    "silenced": "Nobody is told of it until a time; all is recorded.",
    "inhibited": "Explained by another alert, so that nobody is notified of it.",
    "reference": "The training data of a version, as counts; what live data is held against.",
    "window": "The latest panes of a version, with at least 2,000 rows.",
    "pane": "The counts of some hundred neighbouring events. Panes add up.",
    "baseline": "The value of a metric on the labelled reference rows, or as the manifest states "
    "it.",
    "value": "What 1,000 labelled predictions are worth, by what the policy states of a right and "
    "a wrong one.",
    "label": "What turned out to be true for an earlier prediction; it names that prediction's id.",
    "segment": "The rows of one value of a segment feature, such as `region=north`.",
    "fairness": "How alike the values of a segment feature are treated: selected as often, and as "
    "often rightly and wrongly.",
    "sd": "Standard deviation of a column in the reference: the measure of a shift.",
    "PSI": "Population stability index: how far the shares of values are from those of the "
    "reference; 0 is not at all, .25 is a lot.",
    "MAE": "Mean absolute error: how far predictions are from labels on average, in their unit.",
    "mean rank": "The mean share of the reference below the latest values; 0.5 without a change.",
    "lag": "The time between the last entry in the log and the last one that was counted.",
}
"""Words that pages show, in the order in which people meet them."""


class RuleWords(NamedTuple):
    """What people read of a rule: an id for links, plain words, method and meaning."""

    anchor: str
    plain: str
    method: str
    meaning: str


def anchor(name: str) -> str:
    """Return the id of a rule's row in the glossary.

    Examples
    --------
    >>> anchor("performance.mae"), anchor("segment.psi")
    ('rule-performance', 'rule-segment-psi')
    """
    return f"rule-{rule_of(name).name.removesuffix(FAMILY).replace('.', '-')}"


def meaning(name: str) -> str:
    """Return what an alert of a rule tells, in a sentence; empty for a rule of another release."""
    return rule_of(name).meaning


def rule_rows() -> Iterator[RuleWords]:
    """Yield what people read of each rule, rules with the same plain words together.

    Examples
    --------
    >>> next(rule_rows()).plain
    'Broken values'
    """
    order = list(dict.fromkeys(rule.plain for rule in RULES.values()))
    for rule in sorted(RULES.values(), key=lambda rule: order.index(rule.plain)):
        method = "" if rule.is_family else title(rule.name)
        told = f" Also told as: {', '.join(rule.members.values())}." if rule.members else ""
        yield RuleWords(anchor(rule.name), rule.plain, method, rule.meaning + told)
