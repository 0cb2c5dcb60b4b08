"""The fields of a registration over HTTP: those of the options of `driftgauge models register`,
with `_` for `-`. Pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

Kind = Literal["one", "many", "names", "flag"]
"""How often a field may stand there; names may also be parted by commas, as in CSV."""
FIELDS: Final[Mapping[str, tuple[Kind, str]]] = {
    "version": ("one", "Semantic version; the next major one if absent."),
    "task": ("one", "What is predicted: regression, binary or multiclass."),
    "prediction_column": ("one", "Column of the predictions; else the artifact makes them."),
    "target_column": ("one", "Column of the true values, which is no feature."),
    "time_column": ("one", "Column of the times of the rows, which is no feature."),
    "feature": ("names", "Feature, in the model's order; else all columns, or the artifact's."),
    "exclude": ("names", "Column that is left out of drift."),
    "segment": ("names", "Categorical feature by whose values rows are told apart."),
    "classes": ("names", "Labels in the order of the probabilities, where no artifact knows them."),
    "probability_column": (
        "names",
        "Column of a class's probability, in the order of the classes.",
    ),
    "type": ("many", "Take a column as something else: `code=categorical`."),
    "unit": ("many", "Unit of a column's numbers: `load=kWh`."),
    "missing": ("many", "Text that means a missing value."),
    "decimal": ("one", "Decimal mark of numbers."),
    "thousands": ("one", "What stands between the thousands of numbers."),
    "separator": ("one", "What stands between the cells."),
    "encoding": ("one", "Encoding of a text file."),
    "date_format": ("one", "How times are written as text, as of strptime."),
    "time_unit": ("one", "Unit of times that are numbers: s, ms, us, ns."),
    "timezone": ("one", "Zone of times that name none."),
    "partitions": ("one", "Logs that the events are spread over; chosen by the first version."),
    "metrics": ("many", "Metric of the training: NAME=NUMBER."),
    "gate": ("many", "Bound of a metric, such as `accuracy>=0.9`."),
    "max_latency_ms": ("one", "Bound of the 99th percentile of one row's time, in ms."),
    "min_reference_rows": ("one", "Least rows of the reference."),
    "tolerance": ("one", "How much worse than the production version a metric may be, as a share."),
    "method": ("many", "Method that the artifact must have."),
    "labels": ("flag", "`true`: true values come later."),
    "batch_counts": ("flag", "`true`: batch predictions count for drift."),
    "multivariate": (
        "flag",
        "`true`: judge how the numeric features go together, too, by columns that are derived.",
    ),
    "features_module": ("one", "Dotted name of the module that makes the features."),
    "git_revision": ("one", "Commit of the training code."),
    "trained": ("one", "When the model was fitted, ISO 8601."),
}
"""What each field says, and how often it may stand there."""
FILES: Final[Mapping[str, str]] = {
    "reference": "The reference rows: CSV, JSON lines, Parquet or Arrow.",
    "artifact": "The fitted model; its file name tells the format.",
    "schema": "Schema to use, as `--write-schema` writes it.",
}
"""The parts that are files; `reference` is needed."""
FLAGS: Final = ("true", "false")


def field_faults(given: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return what is wrong with fields, by name.

    Examples
    --------
    >>> field_faults({"version": ["1.0.0"], "labels": ["true"]})
    {}
    >>> field_faults({"version": ["1.0.0", "2.0.0"], "labels": ["on"], "colour": ["red"]})["labels"]
    'must be true or false'
    """
    faults = {}
    for name, values in given.items():
        kind = FIELDS[name][0] if name in FIELDS else None
        if kind is None:
            faults[name] = f"is no field of a registration; there are {', '.join(FIELDS)}"
        elif kind in {"one", "flag"} and len(values) > 1:
            faults[name] = "stands there more than once"
        elif kind == "flag" and values[0] not in FLAGS:
            faults[name] = "must be true or false"
        elif any("\0" in value for value in values):
            faults[name] = "has a character that no text has"
    return faults


def options_of(given: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield fields without faults as arguments of the command.

    Examples
    --------
    >>> list(options_of({"target_column": ["--y"], "labels": ["true"], "batch_counts": ["false"]}))
    ['--target-column=--y', '--labels']
    """
    for name, values in given.items():
        option = f"--{name.replace('_', '-')}"
        if FIELDS[name][0] == "flag":
            yield from [option] * (values[0] == "true")
        else:
            yield from (f"{option}={value}" for value in values)


def fields_of(options: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return options by name as fields; what is None, empty or false is left out.

    Raises
    ------
    TypeError
        If there is no such field.

    Examples
    --------
    >>> fields_of({"exclude": ("a", "b,c"), "labels": True, "partitions": 2, "task": None})
    {'exclude': ['a', '"b,c"'], 'labels': ['true'], 'partitions': ['2']}
    >>> fields_of({"metrics": {"f1": 0.8}, "version": "1.0.0"})
    {'metrics': ['f1=0.8'], 'version': ['1.0.0']}
    """
    fields = {}
    for name, value in options.items():
        if name not in FIELDS:
            raise TypeError(f"{name} is no option of a registration; there are {', '.join(FIELDS)}")
        if value is None or value is False or value in ((), [], {}, ""):
            continue
        fields[name] = _texts(value)
        if FIELDS[name][0] == "names":
            fields[name] = [_quoted(text) for text in fields[name]]
    return fields


def _texts(value: Any) -> list[str]:
    match value:
        case bool():
            return [str(value).lower()]
        case Mapping():
            return [f"{name}={number}" for name, number in value.items()]
        case list() | tuple():
            return [str(one) for one in value]
    return [str(value)]


def _quoted(name: str) -> str:
    """Write a name as a cell of CSV, so that it is not parted at its commas."""
    plain = not {",", '"'} & {*name} and name == name.strip()
    return name if plain else '"{}"'.format(name.replace('"', '""'))
