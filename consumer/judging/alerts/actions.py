"""Recommended actions for alerts. Pure: an alert and its circumstances in, an action out.

Each action has one condition; the first whose condition holds is recommended, in this order:

    check_service  a limit on latency, traffic or the window is exceeded, which the model's inputs do not explain
    fix_feed     the values are broken (data quality), or broken values explain the alert
    roll_back    critical and firing, on a version that is new, while the model had another one before that did better
    review       the values of a feature are treated more differently than the policy allows
    accept_reference  an ordered column fires, more than 30 % of the last 30 days were in alarm, no performance fell
    retrain      critical drift of a feature that has lasted for a day; or the performance fell and a feature drifts
    recalibrate  the prediction, the labels or the performance moved, and no feature drifts
    wait         everything else: evidence without a large effect, or too young to act upon
"""  # noqa: E501  a table, or what an example prints

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from driftgauge.consumer.judging.alerts.lifecycle import AlertState
from driftgauge.shared.contract.alert import Action
from driftgauge.shared.contract.snapshot import RecommendedAction
from driftgauge.shared.performance import LABEL
from driftgauge.shared.reference.profile import PREDICTION
from driftgauge.shared.rules import is_operational, rule_of

DAY_MS: Final = 86_400_000
NEW_MS: Final = DAY_MS
"""Time (ms) for which a version is new."""
LASTING_MS: Final = DAY_MS
"""Time (ms) after which a drift counts as lasting, so that a new model is worth its cost."""

ADVICE: Final[Mapping[Action, str]] = {
    "check_service": (
        "Look at the service itself: its load, its machine and what it calls; the model's inputs "
        "are not the reason."
    ),
    "fix_feed": (
        "Look at where these values come from: they are missing, new or out of range, and "
        "retraining does not help against that."
    ),
    "roll_back": "Roll back to the version before: this one is new, and it is critical.",
    "review": (
        "Look at how these groups differ in features and labels, and at what the model decides by; "
        "whether the difference is justified is for people to say."
    ),
    "accept_reference": (
        "Accept a new reference if this is how the process is now (`driftgauge reference accept`), "
        "or retrain on recent "
        "data: more than 30 % of the last 30 days were in alarm."
    ),
    "retrain": (
        "Retrain on recent data, or accept a new reference if this is how it is from now on."
    ),
    "recalibrate": "Recalibrate the model's output: it changed although no feature did.",
    "wait": (
        "Wait and watch: there is evidence of a change, but not yet of one that is large and lasts."
    ),
}


@dataclass(frozen=True)  # without slots: what holds for all alerts is found once
class Circumstances:
    """Facts beside the alert itself by which its action is chosen.

    Parameters
    ----------
    now
        Logical time (ms).
    alerts
        Open alerts of the version, including this one.
    version_since
        Logical time (ms) at which the version was first seen.
    has_previous
        Whether another version was seen before it, and no fall of the performance of such a version
        fires: of two that do badly, neither is better.
    outdated
        Whether more than 30 % of the last 30 days were in alarm, so that the reference no longer
        describes the process.
    """

    now: int
    alerts: Sequence[AlertState]
    version_since: int
    has_previous: bool
    outdated: bool = False

    @property
    def is_new(self) -> bool:
        """Whether the version is new, and there is another one to go back to."""
        return self.has_previous and self.now - self.version_since <= NEW_MS

    @cached_property
    def feature_drifts(self) -> bool:
        """Whether an alert of a feature's drift fires that broken values do not explain."""
        return any(
            alert.state == "firing" and _is_feature_drift(alert) and not self.is_broken(alert)
            for alert in self.alerts
        )

    @cached_property
    def performance_fell(self) -> bool:
        """Whether an alert of the performance fires."""
        return any(alert.state == "firing" and _is_performance(alert) for alert in self.alerts)

    def is_broken(self, alert: AlertState) -> bool:
        """Return whether an alert is about broken values, or explained by them."""
        return _asks(alert, "fix_feed") or alert.inhibited_by in self._broken

    @cached_property
    def _broken(self) -> frozenset[str]:
        return frozenset(one.fingerprint for one in self.alerts if _asks(one, "fix_feed"))


def recommend(alert: AlertState, circumstances: Circumstances) -> Action:
    """Return the action for an alert."""
    return next(action for action, holds in CONDITIONS.items() if holds(alert, circumstances))


def recommended(circumstances: Circumstances) -> list[RecommendedAction]:
    """Return the actions for all open alerts, the most urgent first, each with its alerts."""
    asked: dict[Action, list[str]] = {}
    for alert in circumstances.alerts:
        asked.setdefault(recommend(alert, circumstances), []).append(alert.fingerprint)
    return [
        RecommendedAction(action, ADVICE[action], asked[action])
        for action in CONDITIONS
        if action in asked
    ]


def _is_feature_drift(alert: AlertState) -> bool:
    rule = rule_of(alert.rule)
    if rule.of_segment:
        return rule.kind == "drift" and set(alert.columns) != {PREDICTION}
    return rule.kind in {"drift", "limit"} and alert.feature not in {"", PREDICTION, LABEL}


def _asks(alert: AlertState, action: Action) -> bool:
    return rule_of(alert.rule).action == action


def _is_performance(alert: AlertState) -> bool:
    return rule_of(alert.rule).kind == "performance"


def _fix_feed(alert: AlertState, circumstances: Circumstances) -> bool:
    return circumstances.is_broken(alert)


def _roll_back(alert: AlertState, circumstances: Circumstances) -> bool:
    return _is_critical(alert) and circumstances.is_new


def _accept_reference(alert: AlertState, circumstances: Circumstances) -> bool:
    asks = _asks(alert, "accept_reference") and alert.state == "firing"
    return asks and circumstances.outdated and not circumstances.performance_fell


def _retrain(alert: AlertState, circumstances: Circumstances) -> bool:
    if _is_performance(alert):
        return alert.state == "firing" and circumstances.feature_drifts
    return (
        _is_critical(alert)
        and _is_feature_drift(alert)
        and circumstances.now - alert.started >= LASTING_MS
    )


def _recalibrate(alert: AlertState, circumstances: Circumstances) -> bool:
    moved = alert.feature in {PREDICTION, LABEL} or _is_performance(alert)
    return alert.state == "firing" and moved and not circumstances.feature_drifts


def _is_critical(alert: AlertState) -> bool:
    return alert.state == "firing" and alert.severity == "critical"


CONDITIONS: Final[Mapping[Action, Callable[[AlertState, Circumstances], bool]]] = {
    "check_service": lambda alert, _circumstances: is_operational(alert.rule, alert.feature),
    "fix_feed": _fix_feed,
    "roll_back": _roll_back,
    "review": lambda alert, _circumstances: _asks(alert, "review"),
    "accept_reference": _accept_reference,
    "retrain": _retrain,
    "recalibrate": _recalibrate,
    "wait": lambda _alert, _circumstances: True,
}
