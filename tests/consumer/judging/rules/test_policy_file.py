"""The policy file."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.consumer.judging.policy import FairnessLimit, JudgingPolicy, Threshold
from driftgauge.consumer.judging.rules.policy_file import PolicyFile, read_policy
from driftgauge.shared.errors import ConfigurationError, PolicyRefused
from driftgauge.shared.performance import Worth
from tests.places import ROOT

GOOD = b"""
[default]
cooldown_minutes = 30
[[default.thresholds]]
metric = "latency_p99_ms"
warning = 50

[models.steel]
policy = "classic"
psi_critical = 0.3
[[models.steel.thresholds]]
metric = "wasserstein"
feature = "temperature"
critical = 2.5
"""


def test_a_models_table_changes_the_default() -> None:
    """What a model's table says holds for it alone; what it does not say comes from the default,
    then the settings.
    """
    file = read_policy(GOOD, "policy.toml")
    settings = JudgingPolicy(renotify_ms=14_400_000)
    steel, other = (file.apply(settings, model) for model in ("steel", "bikes"))
    assert (steel.kind, steel.psi_critical, steel.cooldown_ms, steel.renotify_ms) == (
        "classic",
        0.3,
        1_800_000,
        14_400_000,
    )
    assert steel.thresholds == (
        *(one for one in settings.thresholds if one.metric == "failed_share"),
        Threshold("latency_p99_ms", warning=50),
        Threshold("wasserstein", "temperature", critical=2.5),
    )
    assert (other.kind, other.thresholds) == ("standard", steel.thresholds[:2])


def test_the_reminders_of_a_model() -> None:
    """Both ends of the reminders' back-off are the file's to say."""
    policy = read_policy(
        b"[default]\nrenotify_minutes = 60\nrenotify_max_minutes = 1440", "p"
    ).apply(JudgingPolicy(), "any")
    assert (policy.renotify_ms, policy.renotify_max_ms) == (3_600_000, 86_400_000)


FAIR = b"""
[default]
outcome = "approved"
[[default.fairness]]
measure = "selection_rate_ratio"
feature = "sex"
critical = 0.8

[models.credit]
outcome = "no"
[[models.credit.fairness]]
measure = "selection_rate_ratio"
feature = "sex"
warning = 0.9
[[models.credit.fairness]]
measure = "equal_opportunity"
feature = "sex"
critical = 0.1
"""


def test_limits_on_fairness() -> None:
    """A model's limits are in place of the default's on the same measure and feature; the outcome
    is its own, or the default's. Without a file there are none.
    """
    file = read_policy(FAIR, "policy.toml")
    credit, other = (file.apply(JudgingPolicy(), model) for model in ("credit", "churn"))
    assert (credit.outcome, other.outcome) == ("no", "approved")
    assert credit.fairness == (
        FairnessLimit("selection_rate_ratio", "sex", warning=0.9),
        FairnessLimit("equal_opportunity", "sex", critical=0.1),
    )
    assert other.fairness == (FairnessLimit("selection_rate_ratio", "sex", critical=0.8),)
    assert (JudgingPolicy().outcome, JudgingPolicy().fairness) == ("", ())


LOAN = b"""
[models.credit.value]
unit = "EUR"
[models.credit.value.matrix]     # label, then prediction
good = { good = 12, bad = -5.0 }
bad = { good = -250, bad = 0 }

[models.steel.value]
unit = "EUR"
cost_per_unit_of_error = 0.3
"""


def test_what_predictions_are_worth() -> None:
    """A matrix of values by label and prediction, or a cost per unit of error, is the model's own;
    without one predictions have no value. It goes through the form in which the policy is stored.
    """
    file = read_policy(LOAN, "policy.toml")
    file = msgspec.json.decode(msgspec.json.encode(file), type=PolicyFile)
    credit, steel, other = (
        file.apply(JudgingPolicy(), model).value for model in ("credit", "steel", "churn")
    )
    matrix = {"good": {"good": 12.0, "bad": -5.0}, "bad": {"good": -250.0, "bad": 0.0}}
    assert (credit, steel, other) == (
        Worth("EUR", matrix),
        Worth("EUR", cost_per_unit_of_error=0.3),
        None,
    )


@pytest.mark.parametrize("page", ["policy.md", "performance.md"])
def test_the_examples_of_the_docs_are_read(page: str) -> None:
    """A policy file that a page shows can be used as it stands."""
    examples = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)
    worth = [read_policy(one.encode(), page).models["credit"].value for one in examples]
    assert [one.unit for one in worth if one is not None] == ["EUR"]


TWICE = b"[[default.thresholds]]\nmetric='ks'\nwarning=1\n[[default.thresholds]]\nmetric='ks'\nwarning=2"  # noqa: E501  input as it comes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[models.steel", "policy.toml cannot be used"),
        (b"[model.steel]", "model"),
        (b"[default]\npolicy = 'strict'", "default.policy"),
        (b"[default]\ncool_down = 3", "cool_down"),
        (b"[default]\noutcome = ''", "default.outcome"),
        (FAIR.replace(b"equal_opportunity", b"parity"), "no measure of fairness .there are: sel"),
        (FAIR.replace(b"critical = 0.1", b""), "line 15: .*by neither `warning` nor `critical`"),
        (FAIR.replace(b"critical = 0.1", b"critical = 10"), "what is not between 0 and 1"),
        (FAIR.replace(b"warning = 0.9", b"warning = nan"), "what is not between 0 and 1"),
        (FAIR.replace(b"warning = 0.9", b"warning = 0.7\ncritical = 0.8"), "reached before"),
        (FAIR.replace(b"critical = 0.1", b"warning = 0.2\ncritical = 0.1"), "reached before"),
        (FAIR.replace(b"equal_opportunity", b"selection_rate_ratio"), "of sex twice"),
        (FAIR + b"least = 1", "models.credit.fairness.1..least"),
        (LOAN.replace(b'"EUR"', b'""', 1), r"line 3: \[models.credit\] value needs a `unit`"),
        (LOAN.replace(b'unit = "EUR"', b"", 1), "missing required field `unit`"),
        (LOAN.replace(b"cost_per_unit_of_error = 0.3", b""), "line 8: .* needs either a `matrix`"),
        (LOAN.replace(b"0.3", b"0.3\nmatrix = {}"), "needs either a `matrix`"),
        (LOAN.replace(b"0.3", b"-0.3"), "no number above 0"),
        (LOAN.replace(b"0.3", b"nan"), "no number above 0"),
        (LOAN.replace(b", bad = 0", b""), "no value of 'bad' predicted as 'bad'"),
        (LOAN.replace(b"bad = 0 }", b"bda = 0 }"), "no value of 'bad' predicted as 'bad'"),
        (LOAN.replace(b"bad = 0 }", b"bad = 0, ugly = 1 }"), "'ugly', which is no label in it"),
        (LOAN.replace(b"-250", b"-inf"), "line 6: .* 'bad' predicted as 'good' that is no"),
        (LOAN.replace(b"-250", b"nan"), "'bad' predicted as 'good' that is no number from"),
        (LOAN.replace(b"-250", b"'dear'"), "models.credit.value.matrix: Expected `float`"),
        (LOAN.replace(b"bad = { good = -250, bad = 0 }", b""), "fewer than two labels"),
        (
            LOAN.replace(b"12, bad = -5.0", b"1, bad = 1").replace(b"-250, bad = 0", b"1, bad = 1"),
            "the same value for every prediction",
        ),
        (LOAN + b"loss = 1", "models.steel.value.loss"),
        (b"[default]\npsi_warning = -1", "default.psi_warning"),
        (b"[default]\npsi_warning = 0.3\npsi_critical = 0.2", "psi_warning above its psi_critical"),
        (
            b"[[models.m.thresholds]]\nmetric = 'accuracies'\nwarning = 1",
            r"\[models.m\] limits 'accuracies'.*: .*ks",
        ),
        (b"[[default.thresholds]]\nmetric = 'ks'", "neither `warning` nor `critical`"),
        (
            b"[[default.thresholds]]\nmetric = 'ks'\nwarning = 2\ncritical = 1",
            "reached before `warning`",
        ),
        (
            b"[[default.thresholds]]\nmetric = 'window_rows'\nwarning = 1\nfeature = 'x'",
            "leave `feature` out",
        ),
        (TWICE, "all columns twice"),
        (b"\xff", "cannot be used"),
        (b"[default]\ncooldown_minutes = inf", "line 2: default.cooldown_minutes"),
        (b"[default]\nrenotify_minutes = 1e300", "line 2: default.renotify_minutes"),
        (b"[default]\npsi_warning = inf", "line 2: default.psi_warning"),
        (b"[default]\n\nx = " + b"1" * 5000, "line 3: a number in it is too long"),
        (b"[[default.thresholds]]\nmetric = 'ks'\nwarning = nan", "line 1: .*is no number"),
        (b"[[default.thresholds]]\nmetric = 'ks'\ncritical = -inf", "line 1: .*is no number"),
    ],
)
def test_faults_are_named(text: bytes, message: str) -> None:
    """A file that cannot be used says where and why, with the names that there are."""
    with pytest.raises(ConfigurationError, match=message):
        read_policy(text, "policy.toml")


LINES = b"""# of the plant
[default]
psi_warning = 0.1

[[models.steel.thresholds]]
metric = "ks"
warning = 1

[[models.steel.thresholds]]
metric = "psi"
# from the audit
warning = "much"
"""


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (LINES, 12, "models.steel.thresholds[1].warning: Expected `float | null`, got `str`"),
        (LINES.replace(b'"much"', b"1\nhue = 2"), 13, "models.steel.thresholds[1].hue: Object"),
        (LINES.replace(b'"much"', b"1")[:-2], 12, "Invalid"),
        (LINES.replace(b'"psi"', b'"ks"').replace(b'"much"', b"2"), 9, "[models.steel] limits ks"),
        (
            LINES.replace(b'metric = "psi"', b"").replace(b'"much"', b"2"),
            9,
            "models.steel.thresholds[1]: Object missing",
        ),
        (b"[models.steel]\npsi_critical = .1", 2, "Invalid value"),
        (b"[default]\npsi_warning = 0.3\n[models.m]\n\npsi_critical = 0.2", 5, "[models.m] has a"),
        (b"a = [\n1,\n2]\n[default]", 1, "no table is named 'a'"),
        (b"[default]\n[models]\nm = 3", 3, "models"),
        (b"[default]\n# \xff", 2, "it is not UTF-8 text"),
        (b"[" * 100_000, 1, ""),
        (b"a = " + b"[" * 100_000, 1, ""),
        (b"#" * 300_000, 1, "it has 300,000 bytes, and may have 262,144"),
    ],
)
def test_a_fault_has_its_line(text: bytes, line: int, reason: str) -> None:
    """Whatever is wrong, the error says at which line a person finds it."""
    with pytest.raises(PolicyRefused) as refused:
        read_policy(text, "policy.toml")
    assert (refused.value.line, refused.value.reason[: len(reason)]) == (line, reason)
    assert f"line {line}: {reason}" in str(refused.value)


@given(st.text(alphabet="[]{}.=#'\"\n ab1-,", max_size=80))
def test_any_text_is_a_policy_or_refused(text: str) -> None:
    """Whatever stands in a file, it is read or refused with one of its lines."""
    try:
        read_policy(text.encode(), "policy.toml")
        line = 1
    except PolicyRefused as refused:
        line = refused.line
    assert 1 <= line <= text.count("\n") + 1


def test_nothing_said_changes_nothing() -> None:
    """An empty file is the settings' policy."""
    assert read_policy(b"", "policy.toml").apply(JudgingPolicy(), "steel") == JudgingPolicy()
