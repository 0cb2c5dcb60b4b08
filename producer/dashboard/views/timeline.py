"""An incident over time: what happened, in order, and a picture of its evidence. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from markupsafe import Markup

from driftgauge.shared.contract.incident import Incident, IncidentAlert
from driftgauge.shared.reporting.canvas import WIDTH, Scale, at, picture, scale
from driftgauge.shared.wording.plain import TITLE_CELLS, clip
from driftgauge.shared.wording.times import minute, moment
from driftgauge.shared.wording.titles import rule_words

DRAWN: Final = 12
"""Most alerts that the picture has."""
_ROW, _TOP, _BAR = 24, 6, 6
LEAST_SPAN_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened to an incident at a logical time (ms): it began, an alert joined it
    or resolved, a person acknowledged or silenced it, it was over.
    """

    time: int
    kind: Literal["began", "joined", "resolved", "acknowledged", "silenced", "over"]
    alert: IncidentAlert | None = None


def timeline(incident: Incident) -> list[Step]:
    """Return what happened to an incident, in the order of time.

    The time at which it began is an estimate, so it stands first whatever the clock says.
    """
    found = [Step(alert.joined, "joined", alert) for alert in incident.alerts]
    if incident.state == "open":  # else all of them resolved, which is no news of each
        found += [
            Step(alert.ended, "resolved", alert)
            for alert in incident.alerts
            if alert.ended is not None
        ]
    if incident.acknowledged is not None:
        found.append(Step(incident.acknowledged.time, "acknowledged"))
    if incident.silenced is not None:
        found.append(Step(incident.silenced.time, "silenced"))
    if incident.ended is not None:
        found.append(Step(incident.ended, "over"))
    return [Step(incident.since, "began"), *sorted(found, key=lambda step: step.time)]


def drawn(incident: Incident) -> Markup:
    """Draw an incident's alerts as bars over time, each from its start to its end, and the time
    within which the change lies; empty markup without alerts.

    Classes: `range` the time of the change, `bar` and the severity a bar, `latest` the moment at
    which an alert fired.
    """
    alerts = incident.alerts[:DRAWN]
    if not alerts:
        return Markup("")
    last = max(incident.updated, incident.ended or 0, *(one.joined for one in alerts))
    first = min(incident.earliest, incident.since, *(one.started for one in alerts))
    first = min(first, last - LEAST_SPAN_MS)
    x = scale(first, last, 4, WIDTH - 6)
    bottom = _TOP + _ROW * len(alerts)
    band = Markup('<path class="change" d="M{} {}V{}H{}V{}z"><title>{}</title></path>').format(
        at(x(incident.earliest)),
        _TOP,
        bottom,
        at(max(x(incident.latest), x(incident.earliest) + 1.5)),
        _TOP,
        f"The change lies between {moment(incident.earliest)} and {moment(incident.latest)}.",
    )
    rows = [_row(one, place, x, last) for place, one in enumerate(alerts)]
    axis = Markup(
        '<path class="axis" d="M4 {}H{}"/><text x="4" y="{}" class="dim">{}</text>'
        '<text x="{}" y="{}" class="end dim">{}</text>'
    ).format(
        bottom + 2,
        WIDTH - 6,
        bottom + 16,
        minute(first),
        WIDTH - 6,
        bottom + 16,
        f"{minute(last)} UTC",
    )
    return picture(bottom + 20, "The alerts over time", [band, *rows, axis])


def _row(alert: IncidentAlert, place: int, x: Scale, last: int) -> Markup:
    top = _TOP + _ROW * place
    start, end = x(alert.started), x(alert.ended if alert.ended is not None else last)
    label = f"{named(alert, 28)}: {clip(rule_words(alert.rule), 40)}"
    return Markup(
        '<g><title>{}</title><text x="6" y="{}">{}</text>'
        '<path class="bar {}" d="M{} {}V{}H{}V{}z"/>'
        '<circle class="latest" cx="{}" cy="{}" r="3"/></g>'
    ).format(
        f"{clip(alert.summary, TITLE_CELLS)}, fired {moment(alert.joined)}",
        top + 11,
        label,
        alert.severity,
        at(start),
        top + 14,
        top + 14 + _BAR,
        at(max(end, start + 1.5)),
        top + 14,
        at(x(alert.joined)),
        top + 14 + _BAR / 2,
    )


def named(alert: IncidentAlert, most: int) -> str:
    """Name what an alert is about, cut to some characters: a column, a segment, or the model.

    Examples
    --------
    >>> alert = IncidentAlert("f", "1", "", "psi", "warning", "", 0, 0, segment="region=north")
    >>> named(alert, 20)
    'region=north'
    """
    return clip(alert.feature or alert.segment or "whole model", most)


def by_alert(incidents: Sequence[Incident]) -> dict[str, Incident]:
    """Return the incident of each alert, by the alert's fingerprint.

    Examples
    --------
    >>> by_alert([])
    {}
    """
    return {alert.fingerprint: one for one in incidents for alert in one.alerts}
