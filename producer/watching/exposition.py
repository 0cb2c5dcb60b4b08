"""The Prometheus text format, version 0.0.4. Pure.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
Labels = Mapping[str, str]


@dataclass(slots=True)
class Family:
    """A metric with its samples.

    Parameters
    ----------
    name
        With `_total` at the end if it is a counter.
    help
        One sentence.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    samples: list[tuple[str, Labels, float]] = field(default_factory=list)
    """(suffix of the name, labels, value)."""

    def add(self, value: float, **labels: str) -> None:
        """Add a sample."""
        self.samples.append(("", labels, value))

    def add_histogram(
        self, bounds: Sequence[float], counts: Sequence[int], total: float, **labels: str
    ) -> None:
        """Add a histogram.

        Parameters
        ----------
        bounds
            Upper bounds of the buckets, all but the last one's, which has none.
        counts
            Observations in each bucket, one more than bounds.
        total
            Sum of the observations.
        """
        below = 0
        for bound, count in zip((*map(_number, bounds), "+Inf"), counts, strict=True):
            below += count
            self.samples.append(("_bucket", {**labels, "le": bound}, below))
        self.samples.append(("_sum", labels, total))
        self.samples.append(("_count", labels, below))


def render(families: Sequence[Family]) -> str:
    r"""Write metrics; one without samples is left out.

    Examples
    --------
    >>> requests = Family("requests_total", "counter", "Requests.")
    >>> requests.add(3, route="/predict")
    >>> print(render([requests]), end="")
    # HELP requests_total Requests.
    # TYPE requests_total counter
    requests_total{route="/predict"} 3
    """
    return "".join(line + "\n" for family in families if family.samples for line in _lines(family))


def escape(value: str) -> str:
    r"""Escape a label value.

    Examples
    --------
    >>> print(escape('a"b\\c\nd'))
    a\"b\\c\nd
    """
    sound = value.encode("utf-8", "backslashreplace").decode()
    return sound.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _lines(family: Family) -> list[str]:
    described = family.help.replace("\\", "\\\\").replace("\n", "\\n")
    head = [f"# HELP {family.name} {described}", f"# TYPE {family.name} {family.kind}"]
    return head + [
        f"{family.name}{suffix}{_labels(labels)} {_number(value)}"
        for suffix, labels, value in family.samples
    ]


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{escape(value)}"' for name, value in labels.items()) + "}"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
