"""What the monitor found, held against the truth. Alerts and places in, a verdict out."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from driftgauge.models.drift.kinds import Expectation
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.alerts import BLIND

OPERATIONAL: Final = (BLIND, "threshold.latency")
"""Prefixes of the rules that no drift breaks."""


class FiredAlert(msgspec.Struct, frozen=True):
    """An alert that fired.

    Parameters
    ----------
    event
        Events of the simulation that had been counted then.
    segment
        That it is about, as `region=north`; empty if it is about all rows.
    """

    feature: str
    rule: str
    severity: str
    event: int
    summary: str
    segment: str = ""

    @property
    def subject(self) -> str:
        """What it is about, in short."""
        return self.feature or self.segment or self.rule


class MetExpectation(msgspec.Struct, frozen=True):
    """An expectation, and how many events after the injection the first alert came that meets it;
    None if none did.
    """

    name: str
    after: int | None


class Verdict(msgspec.Struct, frozen=True):
    """What was found.

    Parameters
    ----------
    first
        The first alert after the injection, None if there was none.
    false_alarms
        What fired before.
    operational
        Alerts of the watchdog and of the serving time: they speak of the machine, not of the model.
    """

    met: list[MetExpectation]
    first: FiredAlert | None
    findings: list[FiredAlert]
    false_alarms: list[FiredAlert]
    operational: list[FiredAlert]

    @property
    def found(self) -> bool:
        """Whether everything that was injected was found."""
        return all(one.after is not None for one in self.met)

    @property
    def passed(self) -> bool:
        """Whether it was found, and nothing before it."""
        return self.found and not self.false_alarms


def fired(alerts: Iterable[Alert], base: int, known: Iterable[str] = ()) -> list[FiredAlert]:
    """Give the alerts that began to fire, each once, in the order of events.

    Parameters
    ----------
    base
        Events of the model that had been counted before the simulation.
    known
        Fingerprints of alerts that were open before it.
    """
    first: dict[str, Alert] = {}
    ignored = set(known)
    for alert in alerts:
        if alert.state != "firing" or alert.fingerprint in ignored:
            continue
        seen = first.get(alert.fingerprint)
        if seen is None or alert.evidence.events < seen.evidence.events:
            first[alert.fingerprint] = alert
    found = [
        FiredAlert(
            one.feature,
            one.rule,
            one.severity,
            max(one.evidence.events - base, 0),
            one.summary,
            one.segment,
        )
        for one in first.values()
    ]
    return sorted(found, key=lambda one: (one.event, one.feature, one.rule))


def verdict(
    found: Sequence[FiredAlert], injected_at: int, expected: Sequence[Expectation]
) -> Verdict:
    """Hold alerts against the truth.

    Parameters
    ----------
    injected_at
        Events before the drift; an alert after as many saw none of it.

    Examples
    --------
    >>> alerts = [FiredAlert("y", "psi", "warning", 90, ""), FiredAlert("x", "psi", "critical", 150, "")]
    >>> judged = verdict(alerts, 100, [Expectation("x drifts", "x")])
    >>> judged.found, judged.passed, judged.met[0].after
    (True, False, 50)
    """
    operational = [one for one in found if one.rule.startswith(OPERATIONAL)]
    told = [one for one in found if not one.rule.startswith(OPERATIONAL)]
    after = [one for one in told if one.event > injected_at]
    met = [MetExpectation(one.name, _first_after(one, after, injected_at)) for one in expected]
    return Verdict(
        met,
        after[0] if after else None,
        after,
        [one for one in told if one.event <= injected_at],
        operational,
    )


def _first_after(
    expected: Expectation, alerts: Sequence[FiredAlert], injected_at: int
) -> int | None:
    """Give the events from the injection to the first alert that meets an expectation; None if none
    does.
    """
    hits = (one for one in alerts if expected.is_met_by(one.feature, one.rule, one.segment))
    return next((hit.event - injected_at for hit in hits), None)
