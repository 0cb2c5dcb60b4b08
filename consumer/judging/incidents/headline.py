"""What people are told of an incident: a headline of at most 140 characters, and what to do.

Every headline has the same parts: since when, which cause and how large, and what it did to the
model. Where that is too long, names are cut and then parts are left out, the effect on the model
last.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from driftgauge.consumer.judging.alerts.actions import ADVICE
from driftgauge.consumer.judging.incidents.state import Member
from driftgauge.shared.contract.alert import Action
from driftgauge.shared.contract.incident import HEADLINE_LENGTH, CauseKind, Change
from driftgauge.shared.rules import rule_of
from driftgauge.shared.wording.plain import clip
from driftgauge.shared.wording.times import since

NAME: Final = 40
"""Most characters of a name in a headline, if there is room."""
SHORT: Final = 20
"""Most characters of a name, if there is less."""
PAIR: Final = 2
"""Features that changed, of each of which a headline says what it did, if there is room."""
NAMED: Final = 3
"""Most columns that a headline names."""
JOINT: Final = "the numeric features no longer go together as usual"
"""What an incident of derived columns alone is."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an incident.

    Parameters
    ----------
    cause
        The alert that it is put down to.
    change
        When it began.
    columns
        Columns that changed, the most changed first, and what happened to each.
    watched
        Number of features that are judged.
    effect
        What it did to the performance, as a clause; empty if nothing is known.
    prediction
        Whether the predictions moved.
    regressed
        Whether the version is new and does worse, while the one before it did not.
    outdated
        Whether the reference has been in alarm for most of the last month.
    broken
        Whether all columns that changed have broken values.
    """

    cause: Member
    change: Change
    columns: Sequence[tuple[str, str]] = ()
    watched: int = 0
    effect: str = ""
    prediction: bool = False
    regressed: bool = False
    outdated: bool = False
    broken: bool = False


def headline(facts: Facts) -> str:
    """Return what happened, where, since when and how bad, at most 140 characters.

    Examples
    --------
    >>> from driftgauge.shared.contract.incident import IncidentAlert
    >>> alert = IncidentAlert("f", "1.0.0", "load", "psi", "critical", "", 0, 0)
    >>> headline(
    ...     Facts(
    ...         Member(alert, "feature", effect="reads about 0.5 sd too high"),
    ...         Change(83_000_000, 0, 0),
    ...         [("load", "reads about 0.5 sd too high")],
    ...         effect="MAE rose from 1.1 to 4.9",
    ...     )
    ... )
    'Since 1 Jan 23:03 UTC load reads about 0.5 sd too high; MAE rose from 1.1 to 4.9.'
    """
    return next(
        (text for text in _candidates(facts) if len(text) <= HEADLINE_LENGTH),
        clip(next(_candidates(facts)), HEADLINE_LENGTH - 1),
    )


def _candidates(facts: Facts) -> Iterator[str]:
    """Yield the headline with more and more left out."""
    change = facts.change
    when = since(change.since, change.latest - change.earliest)
    follows = facts.effect and facts.cause.kind != "performance"
    of_all = "over all rows " if facts.cause.kind == "segment" else ""
    effect = f"; {of_all}{facts.effect}" if follows else ""
    if len(facts.columns) == PAIR:
        both = [f"{_cut(name, NAME)} {what}" for name, what in facts.columns]
        yield f"{when} {', and '.join(both)}{effect}."
    for cells, named in ((NAME, NAMED), (SHORT, NAMED), (SHORT, 1), (SHORT, 0)):
        yield f"{when} {_happened(facts, cells, named)}{effect}."
    yield f"{when} {_happened(facts, SHORT, 0)}."
    yield f"{when} {_happened(facts, SHORT // 2, 0)}."


def _happened(facts: Facts, cells: int, named: int) -> str:
    """Say what happened, without when."""
    cause = facts.cause
    if cause.kind in {"broken_values", "feature"}:
        return _of_columns(facts, cells, named)
    if cause.kind == "segment":
        fell = rule_of(cause.alert.rule).kind == "performance"  # its effect names the segment
        return cause.effect if fell else f"{clip(cause.alert.segment, cells)}: {cause.effect}"
    if cause.kind == "joint":
        column = f": {_cut(cause.alert.feature, cells)} {cause.effect}" if named else ""
        return f"{JOINT}{column}"
    if cause.kind in {"prediction", "label"}:
        moved = "prediction" if cause.kind == "prediction" else "true outcome"
        return f"the {moved} {cause.effect}, and no feature moved"
    if cause.kind == "performance":
        moved = "no feature moved" if not facts.prediction else "only the prediction moved with it"
        return f"{facts.effect or cause.effect}, and {moved}"
    return cause.effect


def _of_columns(facts: Facts, cells: int, named: int) -> str:
    if len(facts.columns) == 1:
        name, effect = facts.columns[0]
        return f"{_cut(name, cells)} {effect}"
    of_all = f" of {facts.watched}" if facts.watched >= len(facts.columns) else ""
    what = "have broken values" if facts.broken else "changed"
    changed = f"{len(facts.columns)}{of_all} features {what}"
    first, effect = facts.columns[0]
    if not named:
        return f"{changed}, most {_cut(first, cells)}"
    if len(facts.columns) > NAMED or named == NAMED:
        names = [_cut(name, cells) for name, _ in facts.columns[:named]]
        return f"{changed}, most: {', '.join(names)}"
    return f"{changed}, most {_cut(first, cells)}: {effect}"


def _cut(name: str, cells: int) -> str:
    """Cut a name in the middle, where names of one family are alike.

    Examples
    --------
    >>> _cut("sensor_temperature_north_7", 15)
    'sensor_…north_7'
    """
    shown = clip(name, 400)
    if len(shown) <= cells:
        return shown
    kept = cells - 1
    return f"{shown[: kept // 2]}…{shown[-(kept - kept // 2) :]}"


def action(facts: Facts) -> tuple[Action, str]:
    """Return what to do, by name and as one sentence."""
    kind, name = facts.cause.kind, facts.columns[0][0] if facts.columns else ""
    subject = _cut(name, NAME)
    if kind in {"operation", "fairness"}:
        asked: Action = "check_service" if kind == "operation" else "review"
        return asked, ADVICE[asked]
    if kind == "broken_values":
        if len(facts.columns) > 1 and not facts.broken:
            return "fix_feed", (
                f"Repair the feed of {subject}, which no retraining mends; check the other "
                "features at their source."
            )
        what = subject if len(facts.columns) == 1 else f"{subject} and the others"
        return (
            "fix_feed",
            f"Repair the feed of {what}: retraining does not help against broken values.",
        )
    if facts.regressed:
        return "roll_back", "Roll back to the version before: this one is new, and it does worse."
    if kind in {"feature", "joint"}:
        return _of_features(facts, subject)
    return _of_model(facts, kind)


def _of_features(facts: Facts, subject: str) -> tuple[Action, str]:
    what, right = f"Check {subject} at its source", "it is right"
    if len(facts.columns) > 1:
        what = f"Check what {subject} and the others have in common, such as their feed"
        right = "they are right"
    if facts.cause.kind == "joint":
        what = "Plot pairs of the numeric features, recent rows beside those of the reference"
        right = "their values are right"
    if facts.outdated and not facts.effect:
        return "accept_reference", f"{what}; if this is how it is now, accept a new reference."
    if facts.effect:
        return "retrain", f"{what}; if {right}, retrain on recent data."
    return "wait", (
        f"{what}; if {right}, watch the model's errors: nothing shows that it does worse yet."
    )


def _of_model(facts: Facts, kind: CauseKind) -> tuple[Action, str]:
    if kind == "segment":
        where = clip(facts.cause.alert.segment, NAME)
        if facts.effect or rule_of(facts.cause.alert.rule).kind == "performance":
            return "retrain", (
                f"Look at what is different in {where} and whether its labels are right; if they "
                "are, retrain with its recent rows."
            )
        return "wait", f"Look at what is different in {where}; its errors have not grown so far."
    if kind == "prediction":
        return "recalibrate", (
            "Check that the right version is in production; if it is, recalibrate its output or "
            "retrain."
        )
    if kind == "label":
        return "retrain", (
            "Check how the outcomes are recorded; if they are right, retrain on recent ones."
        )
    if facts.prediction:
        return "recalibrate", (
            "Check that the labels are right; if they are, recalibrate the model's output or "
            "retrain."
        )
    return "retrain", (
        "Check that the labels are right; if they are, what leads to the outcome has changed: "
        "retrain on recent labels."
    )
