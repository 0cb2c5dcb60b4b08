r"""The text that Prometheus reads, in its own format and in OpenMetrics.

https://prometheus.io/docs/instrumenting/exposition_formats/
https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md

`prometheus_client` writes the same, at 8 us a sample; a thousand models have a hundred thousand
samples, so here a line is made once, of the labels that many samples share, at less than 1 us. The
tests hold the text against its parsers and against `promtool`.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Final, Literal

from driftgauge.shared.metrics.definition import Definition

Format = Literal["text", "openmetrics"]
MEDIA_TYPES: Final[Mapping[Format, str]] = {
    "text": "text/plain; version=0.0.4; charset=utf-8",
    "openmetrics": "application/openmetrics-text; version=1.0.0; charset=utf-8",
}
LONGEST: Final = 200
"""Most characters of a label's value; a longer one is cut, and a digest tells it from others."""
ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\0": r"\\x00"})
"""What would end a value, and the character at which Prometheus's reader takes a text to end."""


def labels(**values: str) -> str:
    r"""Write labels as they stand in a sample; the values may be any text.

    Examples
    --------
    >>> labels(model="steel", feature='a "b"\n')
    'model="steel",feature="a \\"b\\"\\n"'
    """
    return ",".join([f'{name}="{_escaped(value)}"' for name, value in values.items()])


@lru_cache(1024)
def known(**values: str) -> str:
    """Write labels whose values are words of ours, a few that stand in many samples."""
    return labels(**values)


class Exposition:
    """Samples of some metrics, to be written in either format.

    Parameters
    ----------
    metrics
        The definitions, in the order in which they are written; those without samples are left out.

    Examples
    --------
    >>> from driftgauge.shared.metrics.definition import counter, table
    >>> text = Exposition(table(counter("events_total", "model", "Events.")))
    >>> text.add("events_total", 3, labels(model="steel"))
    >>> print(text.written("openmetrics"), end="")
    # HELP events Events.
    # TYPE events counter
    events_total{model="steel"} 3
    """

    def __init__(self, metrics: Mapping[str, Definition]) -> None:
        self._metrics = metrics
        self._lines: dict[str, list[str]] = {name: [] for name in metrics}

    def add(self, name: str, value: float, given: str = "") -> None:
        """Add a sample of a counter or a gauge.

        Parameters
        ----------
        value
            Its value; a boolean is 0 or 1.
        given
            Its labels, as `labels` writes them.
        """
        self._lines[name].append(
            f"{name}{{{given}}} {_number(value)}\n" if given else f"{name} {_number(value)}\n"
        )

    def add_if(self, name: str, value: float | None, given: str = "") -> None:
        """Add a sample if there is a value."""
        if value is not None:
            self.add(name, value, given)

    def histogram(
        self,
        name: str,
        bounds: Sequence[float],
        counts: Sequence[int],
        total: float,
        given: str = "",
    ) -> None:
        """Add a histogram.

        Parameters
        ----------
        bounds
            Upper bounds of its buckets, ascending.
        counts
            Values in each bucket and not in the one before, and those beyond the last bound.
        total
            Sum of the values.
        """
        before = f"{given}," if given else ""
        reached = list(accumulate(counts))
        ends = [*map(_number, map(float, bounds)), "+Inf"]
        lines = self._lines[name]
        lines += [
            f'{name}_bucket{{{before}le="{end}"}} {number}\n'
            for end, number in zip(ends, reached, strict=True)
        ]
        around = f"{{{given}}}" if given else ""
        lines += [f"{name}_sum{around} {_number(total)}\n", f"{name}_count{around} {reached[-1]}\n"]

    def quantiles(self, name: str, values: Mapping[float, float], given: str) -> None:
        """Add a summary that has only quantiles.

        Parameters
        ----------
        values
            Value of each quantile, by its share between 0 and 1.
        """
        self._lines[name] += [
            f'{name}{{{given},quantile="{share}"}} {_number(value)}\n'
            for share, value in values.items()
        ]

    def extend(self, name: str, lines: Sequence[str]) -> None:
        """Add samples of a metric that another process wrote."""
        self._lines[name] += lines

    @property
    def lines(self) -> dict[str, list[str]]:
        """The samples as they are written, by metric, of those that have any."""
        return {name: lines for name, lines in self._lines.items() if lines}

    def seal(self) -> None:
        """Join the lines of each metric, which takes less memory; no more samples are added."""
        for name, lines in self._lines.items():
            self._lines[name] = ["".join(lines)] if lines else []

    def written(self, form: Format) -> str:
        """Return the text, without the end mark of OpenMetrics."""
        return "".join(self._written(form))

    def _written(self, form: Format) -> Iterator[str]:
        for name, lines in self._lines.items():
            if not lines:
                continue
            metric = self._metrics[name]
            family = name.removesuffix("_total") if form == "openmetrics" else name
            yield f"# HELP {family} {metric.meaning}\n# TYPE {family} {metric.kind}\n"
            yield from lines


def whole(parts: Sequence[str], form: Format) -> bytes:
    """Join texts of different metrics to one body."""
    end = "# EOF\n" if form == "openmetrics" else ""
    return "".join([*parts, end]).encode()


def chosen(accept: str) -> Format:
    """Choose the format by the header Accept of a scraper.

    Examples
    --------
    >>> chosen(
    ...     "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
    ... )
    'openmetrics'
    >>> chosen("text/plain;version=0.0.4;q=1,application/openmetrics-text;version=1.0.0;q=0.5")
    'text'
    >>> chosen("application/openmetrics-text; version=0.0.1"), chosen("*/*"), chosen("")
    ('text', 'text', 'text')
    """
    best: dict[Format, float] = {"text": 0.0, "openmetrics": 0.0}
    for one in accept.split(","):
        kind, _, rest = one.partition(";")
        given = dict(_parameter(part) for part in rest.split(";"))
        media = kind.strip().lower()
        if media == "application/openmetrics-text" and given.get("version", "1.0.0") == "1.0.0":
            best["openmetrics"] = max(best["openmetrics"], _weight(given.get("q", "1")))
        elif media in {"text/plain", "text/*", "*/*"}:
            best["text"] = max(best["text"], _weight(given.get("q", "1")))
    return "openmetrics" if best["openmetrics"] > best["text"] else "text"


def _parameter(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip().lower(), value.strip().strip('"')


def _weight(text: str) -> float:
    """Read a weight between 0 and 1; what is none counts as 0."""
    try:
        found = float(text)
    except ValueError:
        return 0.0
    return found if 0.0 <= found <= 1.0 else 0.0


def _number(value: float) -> str:
    """Write a number as both formats read it; whole ones of any size exactly."""
    if isinstance(value, int):
        return str(int(value))
    if value != value:  # noqa: PLR0124  only NaN differs from itself
        return "NaN"
    if value in {float("inf"), float("-inf")}:
        return "+Inf" if value > 0 else "-Inf"
    return repr(float(value))


def _escaped(text: str) -> str:
    """Make any text the value of a label: what UTF-8 cannot encode (halves of surrogate pairs) is
    written out, and what is too long is cut.
    """
    if len(text) > LONGEST:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        text = f"{text[: LONGEST - 10]}… {digest}"
    if text.isascii() and text.isalnum():
        return text
    return text.encode("utf-8", "backslashreplace").decode().translate(ESCAPES)
