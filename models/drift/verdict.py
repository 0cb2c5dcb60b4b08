"""The comparison of the alerts that fired with the drift that was injected."""

from collections.abc import Iterable, Sequence

import msgspec

from driftgauge.models.drift.injection import Expectation
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.rules import is_operational


class FiredAlert(msgspec.Struct, frozen=True):
    """An alert that fired during the simulation.

    Parameters
    ----------
    event
        Number of the simulation's events that had been counted when it fired.
    segment
        The segment that it is about, such as `region=north`; empty if it is about all rows.
    """

    feature: str
    rule: str
    severity: str
    event: int
    summary: str
    segment: str = ""

    @property
    def subject(self) -> str:
        """The feature, segment or rule that it is about, whichever it names first."""
        return self.feature or self.segment or self.rule


class MetExpectation(msgspec.Struct, frozen=True):
    """An expected alert, and when it came.

    Parameters
    ----------
    name
        Expected alert in words.
    after
        Events from the injection to the first alert that meets it; None if no alert does.
    """

    name: str
    after: int | None


class Verdict(msgspec.Struct, frozen=True):
    """The alerts of a simulation, compared with the injected drift.

    Parameters
    ----------
    met
        Each alert that was expected, and when it came.
    first
        The first alert after the injection; None if there was none.
    findings
        All alerts after the injection.
    false_alarms
        Alerts before the injection.
    operational
        Alerts of the watchdog and of the serving time, which are about the machine rather than the
        model.
    """

    met: list[MetExpectation]
    first: FiredAlert | None
    findings: list[FiredAlert]
    false_alarms: list[FiredAlert]
    operational: list[FiredAlert]

    @property
    def found(self) -> bool:
        """True if every expected alert came."""
        return all(one.after is not None for one in self.met)

    @property
    def passed(self) -> bool:
        """True if every expected alert came, and no alert came before the injection."""
        return self.found and not self.false_alarms


def fired(alerts: Iterable[Alert], base: int, known: Iterable[str] = ()) -> list[FiredAlert]:
    """Return the alerts that began to fire during a simulation, each once, in order of time.

    Parameters
    ----------
    alerts
        Transitions of the model's alerts, in any order.
    base
        Events of the model that had been counted before the simulation.
    known
        Fingerprints of alerts that were already open before the simulation; they are left out.
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
    """Compare the alerts that fired with the injected drift.

    Parameters
    ----------
    found
        Alerts in the order of events.
    injected_at
        Events before the drift. An alert that fired when just these had been counted is false.
    expected
        The alerts that have to come.

    Examples
    --------
    >>> early = FiredAlert("y", "psi", "warning", event=90, summary="")
    >>> alerts = [early, FiredAlert("x", "psi", "critical", event=150, summary="")]
    >>> judged = verdict(alerts, 100, [Expectation("x drifts", "x")])
    >>> judged.found, judged.passed, judged.met[0].after
    (True, False, 50)
    """
    operational = [one for one in found if is_operational(one.rule, one.feature)]
    of_model = [one for one in found if not is_operational(one.rule, one.feature)]
    after = [one for one in of_model if one.event > injected_at]
    met = [MetExpectation(one.name, _first_after(one, after, injected_at)) for one in expected]
    return Verdict(
        met,
        after[0] if after else None,
        after,
        [one for one in of_model if one.event <= injected_at],
        operational,
    )


def _first_after(
    expected: Expectation, alerts: Sequence[FiredAlert], injected_at: int
) -> int | None:
    """Return the events from the injection to the first alert that is expected; None if none is."""
    hits = (one for one in alerts if expected.is_met_by(one.feature, one.rule, one.segment))
    return next((hit.event - injected_at for hit in hits), None)
