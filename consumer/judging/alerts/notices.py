"""The transitions of a moment (one entry of the panes stream, or one command), written as one
group.

A moment is collected first and written at its end, when the number of its transitions and the state
of all alerts are known.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from driftgauge.consumer.judging.alerts.actions import ADVICE, Circumstances, recommend
from driftgauge.consumer.judging.alerts.lifecycle import AlertState, Transition
from driftgauge.shared.contract.alert import Alert, AlertEvidence, AlertGroup
from driftgauge.shared.wording.titles import plain_words

NAMED = 3
REPORTED = frozenset({"firing", "resolved"})
"""States whose transitions name a report; a pending alert has none yet."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A transition of a moment: the alert after it, and its evidence."""

    alert: AlertState
    transition: Transition
    evidence: AlertEvidence


def write(
    model: str,
    now: int,
    notices: Sequence[Notice],
    around: dict[str, Circumstances],
    report_of: Callable[[str], str],
) -> list[Alert]:
    """Return a moment's transitions as they are published.

    Parameters
    ----------
    around
        Circumstances of each version.
    report_of
        Returns the id of a version's latest snapshot report, which those that fire or resolve name.
    """
    if not notices:
        return []
    first = notices[0]
    group_id = f"{model}-{now}-{first.alert.fingerprint}-{first.alert.number}"
    summary = group_summary(model, notices)
    return [
        _alert(
            model,
            now,
            notice,
            around[notice.alert.version],
            AlertGroup(group_id, place, len(notices), summary),
            report_of(notice.alert.version) if notice.transition.state in REPORTED else "",
        )
        for place, notice in enumerate(notices)
    ]


def group_summary(model: str, notices: Sequence[Notice]) -> str:
    """Summarise a moment in one sentence: the transitions to notify if there are any, else all."""
    told = [notice for notice in notices if notice.transition.notify] or list(notices)
    if len(told) == 1:
        return f"{model}: {_subject(told[0].alert)} {_verb(told[0])}: {told[0].alert.summary}"
    parts = []
    for verb in dict.fromkeys(_verb(notice) for notice in told):
        names = list(
            dict.fromkeys(_subject(notice.alert) for notice in told if _verb(notice) == verb)
        )
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        parts.append(f"{', '.join(names[:NAMED])}{more} {verb}")
    return f"{model}: {'; '.join(parts)}"


def _verb(notice: Notice) -> str:
    """Return the verb for a transition."""
    if notice.transition.change == "reminder":
        return f"still {notice.alert.severity}"
    if notice.transition.change in {"acknowledged", "silenced"}:
        return notice.transition.change
    return notice.alert.severity if notice.transition.state == "firing" else notice.transition.state


def _subject(alert: AlertState) -> str:
    return alert.feature or alert.segment or plain_words(alert.rule)


def _alert(
    model: str,
    now: int,
    notice: Notice,
    around: Circumstances,
    group: AlertGroup,
    snapshot: str,
) -> Alert:
    alert, transition = notice.alert, notice.transition
    action = recommend(alert, around)
    return Alert(
        fingerprint=alert.fingerprint,
        model=model,
        version=alert.version,
        feature=alert.feature,
        rule=alert.rule,
        severity=alert.severity,
        state=transition.state,
        summary=alert.summary,
        evidence=notice.evidence,
        started=alert.started,
        updated=now,
        ended=now if transition.state in {"resolved", "inactive"} else None,
        snapshot=snapshot,
        report=f"/reports/{snapshot}" if snapshot else "",
        number=alert.number,
        change=transition.change,
        notify=transition.notify,
        action=action,
        advice=ADVICE[action],
        group=group,
        inhibited_by=alert.inhibited_by,
        acknowledged=alert.acknowledged,
        silenced=alert.silenced,
        segment=alert.segment,
    )
