"""What a message says, in words, before any receiver's form: title, headline, facts and link.

Names of models, columns and people come from strangers. Here they lose what hides or reorders text,
what makes them long, and what mail programs and chats turn into a link by themselves; what is
markup for one receiver is escaped in its own form. So every text of a `Telling` is one line that
can be shown as it is.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from driftgauge.consumer.notifying.message import Message
from driftgauge.shared.contract.incident import Incident, IncidentChange
from driftgauge.shared.wording.numbers import count
from driftgauge.shared.wording.plain import clip
from driftgauge.shared.wording.times import duration, minute, since

State = Literal["opened", "worse", "update", "reminder", "resolved"]
Mood = Literal["critical", "warning", "over"]
"""What a receiver colours a message by: the incident's severity, or that it is over."""
COLOURS: Final[Mapping[Mood, str]] = {
    "critical": "#b42318",
    "warning": "#8a5a00",
    "over": "#1a7f37",
}
SIGNS: Final[Mapping[Mood, str]] = {
    "critical": "\N{LARGE RED CIRCLE}",
    "warning": "\N{LARGE ORANGE CIRCLE}",
    "over": "\N{LARGE GREEN CIRCLE}",
}
"""A coloured sign before a title, where a receiver has no colours."""
STATES: Final[Mapping[IncidentChange, tuple[State, str]]] = {
    "opened": ("opened", "new incident"),
    "reopened": ("opened", "it is back"),
    "severity": ("worse", "it is worse"),
    "cause": ("update", "another cause was found"),
    "evidence": ("update", "the evidence changed"),
    "released": ("update", "it lasts, after a silence"),
    "reminder": ("reminder", "it still lasts"),
    "acknowledged": ("update", "somebody has seen it"),
    "silenced": ("update", "it is silenced"),
    "resolved": ("resolved", "it is over"),
}
"""What each change of an incident is to a reader."""
NAMED: Final = 5
"""Most columns that a message names."""
OTHERS: Final = 8
"""Most further incidents that a message has a line for."""
NAME, SENTENCE, NOTE = 64, 300, 200
"""Most characters of a name, of a sentence of ours, and of a note that a person wrote."""
_SCHEME: Final = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]{0,30}):(?=//)|\b(mailto|tel):", re.ASCII)
_WWW: Final = re.compile(r"\b(www)\.", re.ASCII | re.IGNORECASE)
_LINK: Final = re.compile(r"https?://[!#-;=?-~]{1,1900}")


@dataclass(frozen=True, slots=True)
class Telling:
    """A message in words.

    Parameters
    ----------
    state, mood
        What happened to the incident, and how bad it is.
    title
        The model, and what happened, in a few words.
    headline
        What is wrong, where, since when and how bad.
    facts
        What to do, the effect on the model, since when, the evidence: each as title and text.
    link
        Address of the incident's page; empty without one.
    subject
        The severity, the model and the headline: a line that stays the same for the first message
        and all that follow it, where the receiver keeps it.
    """

    state: State
    mood: Mood
    title: str
    headline: str
    facts: tuple[tuple[str, str], ...]
    link: str
    subject: str


def tell(message: Message) -> Telling:
    """Put a message into words."""
    if message.is_test:
        return _test(message)
    incident, link = message.incident, message.link
    state, words = _state(message)
    model, headline = shown(incident.model, NAME), shown(incident.headline, SENTENCE)
    severity = incident.severity
    title = f"{model}: {words}" if state == "resolved" else f"{model}: {words} ({severity})"
    return Telling(
        state=state,
        mood="over" if incident.state == "resolved" else severity,
        title=title,
        headline=headline,
        facts=(*_facts(incident), *_others(message.others)),
        link=link if _LINK.fullmatch(link) else "",
        subject=clip(f"[{severity}] {model}: {headline}", 180),
    )


def _test(message: Message) -> Telling:
    """Say that this is a test, and nothing that could be taken for an incident."""
    is_over = message.incident.state == "resolved"
    headline = shown(message.incident.headline, SENTENCE)
    return Telling(
        state="resolved" if is_over else "opened",
        mood="over" if is_over else "warning",
        title="The test is over" if is_over else "This is a test",
        headline=headline,
        facts=(),
        link=message.link if _LINK.fullmatch(message.link) else "",
        subject=clip(f"[test] {headline}", 180),
    )


def _state(message: Message) -> tuple[State, str]:
    change = message.incident.change
    if message.incident.state == "resolved":
        return STATES["resolved"]
    if message.is_first and change != "reopened":
        return STATES["opened"]
    return STATES["reminder" if message.is_reminder else change]


def shown(text: str, cells: int) -> str:
    r"""Return a stranger's text as one line that no receiver makes a link of.

    Examples
    --------
    >>> shown("see https://evil.example/x or www.evil.example\r\nBcc: a", 80)
    'see https[:]//evil.example/x or www[.]evil.example  Bcc: a'
    >>> shown("temperature", 8)
    'tempera…'
    """
    return clip(_WWW.sub(r"\1[.]", _SCHEME.sub(r"\1\2[:]", clip(text, cells))), cells + 20)


def _facts(incident: Incident) -> list[tuple[str, str]]:
    found = [
        ("What to do", shown(incident.advice, SENTENCE)),
        ("Effect on the model", shown(incident.effect, SENTENCE)),
        ("Lasted" if incident.ended is not None else "Since", _when(incident)),
        ("Evidence", _evidence(incident)),
        ("Model", f"{shown(incident.model, NAME)} {shown(incident.version, NAME)}"),
        ("Seen by", _seen(incident)),
        ("Silenced", _silenced(incident)),
    ]
    if incident.state == "resolved":
        found = [fact for fact in found if fact[0] != "What to do"]
    return [fact for fact in found if fact[1]]


def _others(others: Sequence[Incident]) -> Iterator[tuple[str, str]]:
    """Yield a fact for each further incident of the message, as far as there is room."""
    for one in others[:OTHERS]:
        yield "Also", f"{shown(one.model, NAME)}: {shown(one.headline, 160)}"
    if len(others) > OTHERS:
        yield "Also", f"{count(len(others) - OTHERS)} more incidents"


def _when(incident: Incident) -> str:
    if incident.ended is None:
        return since(incident.since, incident.latest - incident.earliest).removeprefix("Since ")
    lasted = duration(max(0, incident.ended - incident.since) / 1000)
    return f"{lasted}, from {minute(incident.since)} to {minute(incident.ended)} UTC"


def _evidence(incident: Incident) -> str:
    """Say how many alerts there are, how many of those that are named still fire, and of which
    columns.
    """
    alerts = incident.of_alerts
    words = f"{count(alerts)} alert{'' if alerts == 1 else 's'}"
    ended = sum(one.ended is not None for one in incident.alerts)
    if ended and incident.state == "open":
        words += f", {count(ended)} of them over"
    names = [shown(name, NAME) for name in incident.features[:NAMED]]
    if names:
        more = incident.of_features - len(names)
        words += f"; {', '.join(names)}" + (f" and {count(more)} more columns" if more > 0 else "")
    return words


def _seen(incident: Incident) -> str:
    mark = incident.acknowledged
    if mark is None:
        return ""
    note = shown(mark.note, NOTE)
    return shown(mark.who, NAME) + (f": {note}" if note else "")


def _silenced(incident: Incident) -> str:
    mark = incident.silenced
    if mark is None:
        return ""
    note = shown(mark.note, NOTE)
    until = f"until {minute(mark.until)} UTC by {shown(mark.who, NAME)}"
    return until + (f": {note}" if note else "")
