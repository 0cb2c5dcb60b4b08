"""The table of rules: every rule that anything raises has a row, and the shares fit the budget."""

import pytest

from driftgauge.consumer.counting.detectors import DETECTORS, ERROR_DETECTORS
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.producer.watching import blind
from driftgauge.shared.rules import RULES, rule_of
from driftgauge.shared.rules.base import Rule, declare
from driftgauge.shared.rules.monitor import BLIND
from driftgauge.shared.rules.performance import IMPROVEMENT, PERFORMANCE
from driftgauge.shared.wording.titles import plain_words, rule_words


def test_whatever_is_raised_has_a_row() -> None:
    """The detectors' alarms, on values and on errors, and the watchdog's alerts have a row."""
    online = {name for name, rule in RULES.items() if rule.online and not rule.is_family}
    assert online == set(DETECTORS)
    for name in ERROR_DETECTORS:
        assert rule_of(PERFORMANCE.of(name)) is PERFORMANCE
        assert rule_of(IMPROVEMENT.of(name)) is IMPROVEMENT
    for name in blind.NAMES:
        assert rule_of(BLIND.of(name)).kind == "monitor"
        assert plain_words(BLIND.of(name)) != BLIND.plain, "each says what is wrong"


@pytest.mark.parametrize("name", [name.removesuffix(".*") for name in RULES])
def test_every_row_has_words(name: str) -> None:
    """A family itself too, as the budget of a report names it: a report of a labelled model once
    asked for the words of `performance` for ever.
    """
    assert rule_of(name).member(name) == ""
    assert rule_words(name)


def test_a_share_is_a_setting_and_all_fit_the_budget() -> None:
    """Every row names a field of the policy, and all shares together are not more than the
    budget.
    """
    policy = JudgingPolicy()
    shares = {rule.share: getattr(policy, rule.share) for rule in RULES.values() if rule.share}
    of_errors = policy.e_detector_errors_share + policy.adwin_errors_share + policy.ddm_errors_share
    assert sum(shares.values()) + of_errors == pytest.approx(1.0)


def test_what_makes_no_statistical_claim_has_no_share() -> None:
    """Limits that somebody set on a published number and the watchdog's rules take nothing of the
    budget; those on fairness are of an interval, and do.
    """
    assert not any(rule.share for rule in RULES.values() if rule.kind in {"limit", "monitor"})


@pytest.mark.parametrize("name", sorted(RULES))
def test_every_rule_has_words(name: str) -> None:
    """What people read of a rule is not its name but plain words, with the method behind them, and
    a sentence in the glossary.
    """
    said = rule_words(rule_of(name).of("ddm") if rule_of(name).is_family else name)
    assert not set(said) & set("_*.")
    assert said.startswith(rule_of(name).plain)
    assert rule_of(name).plain[0].isupper()
    assert rule_of(name).meaning.endswith(".")


def test_two_rules_of_one_name_are_refused() -> None:
    """A second row of a name is a mistake, and says so; the same row twice is none."""
    declare(RULES["psi"])
    with pytest.raises(ValueError, match="two rules have the name psi"):
        declare(Rule("psi", "limit", "limit", "other", "Other", "It is another."))


def test_a_rule_of_another_release_can_be_read() -> None:
    """An alert that an older or newer release wrote names what it is about as well as it can."""
    found = rule_of("of_tomorrow")
    assert (found.kind, found.plain, found.share) == ("drift", "of tomorrow", "")
    assert rule_words("of_tomorrow") == "of tomorrow"
