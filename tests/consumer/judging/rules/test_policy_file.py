"""The policy file."""

import pytest

from driftgauge.consumer.judging.policy import JudgingPolicy, Threshold
from driftgauge.consumer.judging.rules.policy_file import read_policy
from driftgauge.shared.errors import ConfigurationError

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


TWICE = b"[[default.thresholds]]\nmetric='ks'\nwarning=1\n[[default.thresholds]]\nmetric='ks'\nwarning=2"  # noqa: E501  input as it comes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[models.steel", "policy.toml cannot be used"),
        (b"[model.steel]", "model"),
        (b"[default]\npolicy = 'strict'", "default.policy"),
        (b"[default]\ncool_down = 3", "cool_down"),
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
    ],
)
def test_faults_are_named(text: bytes, message: str) -> None:
    """A file that cannot be used says where and why, with the names that there are."""
    with pytest.raises(ConfigurationError, match=message):
        read_policy(text, "policy.toml")


def test_nothing_said_changes_nothing() -> None:
    """An empty file is the settings' policy."""
    assert read_policy(b"", "policy.toml").apply(JudgingPolicy(), "steel") == JudgingPolicy()
