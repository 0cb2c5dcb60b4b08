"""The row of a rule, and the look-up of a rule by the name in an alert."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from driftgauge.shared.contract.alert import Action

Kind = Literal[
    "data_quality", "drift", "performance", "improvement", "fairness", "limit", "monitor"
]
Against = Literal["reference", "baseline", "limit", "clock"]
BOTH: Final = frozenset({"standard", "classic"})
FAMILY: Final = ".*"
"""Ending of the name of a row that stands for one rule per metric or detector."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table.

    Parameters
    ----------
    name
        Name in alerts. `performance.*` stands for one rule per metric, such as `performance.mae`.
    kind
        Subject of its alerts: broken values, drift of values, a model that got worse or better,
        groups that are treated differently, a limit that a user set, or a monitor that is blind.
    against
        What it compares the window with: the reference rows, the performance on them, a stated
        limit, or the clock.
    title
        Name of the method, which people read second; of a family it is that of the metric or
        detector, and this is empty.
    plain
        Plain words that people read first, such as "Early warning"; several rules may have the
        same.
    meaning
        What an alert of the rule tells, as a sentence of the glossary.
    members
        Plain words of single members of a family, where they have their own.
    of_segment
        Whether it judges the rows of one segment instead of all rows.
    share
        The setting that holds its share of the false-alarm budget; empty for a rule that makes no
        statistical claim.
    action
        Action that only alerts of this rule recommend; None if there is none.
    notify
        Whether people are notified; if not, alerts are only recorded and shown.
    online
        Whether a detector raises it that sees every event, instead of the window's counts.
    renewed
        Whether its detector alarms again and again while the fault lasts, after twice its delay at
        the latest: so that silence for some delays means that it is over.
    weekly
        Whether it judges whole days of ordered columns, which drift in episodes.
    until_acknowledged
        Whether it tells what happened, not how it stands: then its alert ends when a person
        acknowledges it, or after a day. It cannot be silenced.
    policies
        The kinds of policy that have it.
    """

    name: str
    kind: Kind
    against: Against
    title: str
    plain: str
    meaning: str
    members: Mapping[str, str] = field(default_factory=dict, hash=False)
    of_segment: bool = False
    share: str = ""
    action: Action | None = None
    notify: bool = True
    online: bool = False
    renewed: bool = False
    weekly: bool = False
    until_acknowledged: bool = False
    policies: frozenset[str] = BOTH

    def of(self, member: str) -> str:
        """Return the name of a member of a family.

        Examples
        --------
        >>> rule_of("performance.mae").of("rmse")
        'performance.rmse'
        """
        return self.name.removesuffix("*") + member

    def member(self, name: str) -> str:
        """Return the metric or detector in a name of this family; empty if the row is not a family.

        Examples
        --------
        >>> rule_of("performance.mae").member("performance.mae"), rule_of("psi").member("psi")
        ('mae', '')
        >>> rule_of("performance").member("performance")  # the family itself, as budgets name it
        ''
        """
        prefix = self.name.removesuffix("*")
        return name.removeprefix(prefix) if self.is_family and name.startswith(prefix) else ""

    @property
    def is_family(self) -> bool:
        """Whether the row stands for one rule per metric or detector."""
        return self.name.endswith(FAMILY)


RULES: Final[dict[str, Rule]] = {}
"""All rows, by name."""


def declare(rule: Rule) -> Rule:
    """Add a row to the table.

    Raises
    ------
    ValueError
        If another row has the name.
    """
    if RULES.setdefault(rule.name, rule) != rule:
        raise ValueError(f"two rules have the name {rule.name}")
    return rule


def rule_of(name: str) -> Rule:
    """Return the row of a rule that an alert names.

    A name that the table does not have is one of another release: it is taken as drift without a
    share of the budget, so that its alerts can still be read.

    Examples
    --------
    >>> rule_of("performance.mae").kind, rule_of("segment.performance").of_segment
    ('performance', True)
    >>> rule_of("of_tomorrow").plain
    'of tomorrow'
    """
    found = RULES.get(name) or RULES.get(name.partition(".")[0] + FAMILY)
    return found or Rule(name, "drift", "reference", "", name.replace("_", " "), "")


def is_operational(name: str, feature: str) -> bool:
    """Return whether an alert is about the machine rather than the model: the monitor is blind, or
    a limit on traffic or latency is exceeded. Drift never breaks such a rule.

    Examples
    --------
    >>> is_operational("threshold.latency_p99_ms", ""), is_operational("threshold.psi", "x")
    (True, False)
    """
    kind = rule_of(name).kind
    return kind == "monitor" or (kind == "limit" and not feature)
