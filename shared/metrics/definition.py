"""The description of a metric, from which its samples, its help and the page in docs/ are made."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, Protocol

Kind = Literal["counter", "gauge", "histogram", "summary"]


@dataclass(frozen=True, slots=True)
class Definition:
    """A metric.

    Parameters
    ----------
    name
        Name as it is queried. It ends with the unit, if there is one, and that of a counter with
        `_total`.
    labels
        Names of its labels, the same for all of its samples.
    meaning
        What it is, in a sentence.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str


class Made(Protocol):
    """Makes the definition of a metric of one kind."""

    def __call__(self, name: str, labels: str, meaning: str) -> Definition:
        """Return the definition; the labels are parted by spaces."""


def _made(kind: Kind, name: str, labels: str, meaning: str) -> Definition:
    return Definition(name, kind, tuple(labels.split()), meaning)


counter: Final[Made] = partial(_made, "counter")
gauge: Final[Made] = partial(_made, "gauge")
histogram: Final[Made] = partial(_made, "histogram")
summary: Final[Made] = partial(_made, "summary")


def table(*metrics: Definition) -> Mapping[str, Definition]:
    """Return metrics by their names.

    Examples
    --------
    >>> table(counter("events_total", "model partition", "Events."))["events_total"].labels
    ('model', 'partition')

    Raises
    ------
    ValueError
        If two have the same name.
    """
    name, times = Counter(one.name for one in metrics).most_common(1)[0]
    if times > 1:
        raise ValueError(f"the metric {name} is described {times} times")
    return {one.name: one for one in metrics}
