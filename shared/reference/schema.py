"""A model version's schema: names, kinds, ranges and order of its features, and what it predicts.

The API refuses rows that do not fit the schema. A personal feature can be an input of the model
that no event may hold. So there are two orders: the model gets all features in the order of the
schema; events hold what may be published of them, in the order of `Schema.stream`. The worker and
the reference know the stream only. If no feature is personal, both orders are the same. Behind the
features the stream has the columns that are derived of them, if the version has a derivation: the
API computes them of each row that it publishes, and no client sends them.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Literal

import msgspec

from driftgauge.shared.arrays import Floats
from driftgauge.shared.contract.events import Value
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.derivation import Derivation
from driftgauge.shared.reference.feature import (
    NOT_FINITE_MARKS,
    PLAIN,
    WRITTEN,
    Feature,
    Kind,
    UnreadFeature,
)
from driftgauge.shared.reference.pii import decide, hashed, is_personal, needs_key, text_of
from driftgauge.shared.reference.units import check_unit
from driftgauge.shared.tables.format import TableFormat, TimeFormat

Kinds = tuple[Kind | None, ...]
SUM_TOLERANCE: Final = 1e-3
"""Largest difference of a sum of probabilities from 1; clients round them."""
MOST_UNKNOWN: Final = 1000
"""Unknown fields of one object that are told; a body of 1 MB can have 100,000."""
MOST_NAME: Final = 200
"""Characters of a field's name that are told."""
_WHOLE: Final = re.compile(r"-?(0|[1-9]\d{0,14})(\.0+)?")
"""Texts of whole numbers without leading zeros."""
RESERVED: Final = {"prediction": "the model's output", "label": "its true value"}
"""Names that no feature may have, because they name other columns, and what these are."""
MOST_SEGMENT_FEATURES: Final = 3
"""Most features whose values divide the rows into segments."""


Reason = Literal[
    "missing",
    "wrong_type",
    "not_finite",
    "out_of_range",
    "unknown_field",
    "malformed",
    "unreadable",
]
"""Reason why a field is refused, from a closed list, so that refusals can be counted."""


class FieldError(msgspec.Struct, frozen=True, omit_defaults=True, repr_omit_defaults=True):
    """A fault of one field of a request.

    Parameters
    ----------
    field
        JSON pointer to the field, such as `/features/age`.
    reason
        Its kind: `out_of_range` is beyond what the schema declares, `malformed` is about what is no
        value of a feature, `unreadable` a row of which no field can be told.
    """

    field: str
    message: str
    reason: Reason = "malformed"


class Schema(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, dict=True
):
    """The features of a model version in the model's order, and what it predicts.

    Parameters
    ----------
    features
        At least one feature, with unique names; at least one of them is published.
    prediction
        Kind of the prediction; None for a stream of inputs without predictions.
    target
        Name of what is predicted, for display.
    classes
        Class labels in the order of the published probabilities; empty if there are none.
    segments
        Names of up to three categorical features. Drift and performance are judged for each of
        their values, too (shared/reference/segments.py).
    table
        How the cells of the reference were written, and those of every later file of the version:
        missing values, numbers as text. Its missing marks hold for JSON, too.
    time
        How the times of the events are written in files; None if the reference had none.
    extra
        What becomes of fields of a request that are no features: the request is refused, or they
        are ignored and counted.
    text_numbers
        What becomes of a number that is written as text in JSON: refused, or taken.
    unit
        Unit of predictions and labels that are numbers, such as `kWh`, for display.
    derivation
        How the columns are computed that show how the numeric features go together; None without
        them.

    Raises
    ------
    BadData
        If the features, the segments, the unit or the derivation are not as described.
    """

    features: tuple[Feature, ...]
    prediction: Kind | None = "numeric"
    target: str = ""
    classes: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    table: TableFormat = TableFormat()
    time: TimeFormat | None = None
    extra: Literal["ignore", "refuse"] = "refuse"
    text_numbers: Literal["refuse", "take"] = "refuse"
    unit: str = ""
    derivation: Derivation | None = None

    def __post_init__(self) -> None:
        check_unit(self.unit, "the prediction", self.prediction)
        names = [feature.name for feature in self.features]
        if not names:
            raise BadData("The schema has no features; give at least one.")
        for name in RESERVED.keys() & set(names):
            raise BadData(
                f"A feature cannot be named {name!r}: that is {RESERVED[name]}. If the column is "
                f"that, say so (--prediction-column, --target-column); else rename or exclude it."
            )
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise BadData(f"The schema names these features more than once: {', '.join(twice)}.")
        decided = tuple(
            feature
            if feature.pii
            else msgspec.structs.replace(feature, pii=decide(feature.name, None))
            for feature in self.features
        )
        if all(feature.pii == "drop" for feature in decided):
            raise BadData(
                f"Every feature is personal and dropped ({', '.join(names)}), so nothing is left "
                f'to watch. Say "pii": "keep" or "hash" for one in the schema.'
            )
        msgspec.structs.force_setattr(self, "features", decided)
        self._check_segments()
        self._check_derivation()

    def _check_segments(self) -> None:
        """Raise BadData if a segment's feature is in no event, or is not categorical there."""
        if len(self.segments) > MOST_SEGMENT_FEATURES or len(set(self.segments)) < len(
            self.segments
        ):
            raise BadData(
                f"Name up to {MOST_SEGMENT_FEATURES} different features as segments, not "
                f"{', '.join(self.segments)}."
            )
        published = [feature.as_published() for feature in self.features if feature.pii != "drop"]
        kinds = {feature.name: feature.kind for feature in published}
        for name in self.segments:
            if name not in kinds:
                dropped = any(feature.name == name for feature in self.features)
                reason = (
                    "is dropped as personal, so no event holds it"
                    if dropped
                    else "is not among the features"
                )
                raise BadData(f"{name!r} cannot be a segment: it {reason}.")
            if kinds[name] != "categorical":
                raise BadData(
                    f"{name!r} cannot be a segment: it is {kinds[name]}. Make it a category (bands "
                    f"of it, say) in the features, or say --type {name}=categorical."
                )

    def _check_derivation(self) -> None:
        """Raise BadData if the derivation is of other features, or its columns have their names."""
        if self.derivation is None:
            return
        known = {feature.name for feature in self.joint}
        lost = [name for name in self.derivation.features if name not in known]
        if lost:
            raise BadData(
                f"The schema's `derivation` is of {', '.join(lost)}, which "
                f"{'is' if len(lost) == 1 else 'are'} no numeric features that events hold and "
                f"that are judged. Leave `derivation` out, and register with --multivariate."
            )
        taken = [name for name in self.derivation.names if name in self.names]
        if taken:
            raise BadData(
                f"No feature can be named {', '.join(taken)} with --multivariate, which derives "
                f"columns of these names. Rename it, or leave the option out."
            )

    @property
    def joint(self) -> tuple[Feature, ...]:
        """The features that columns can be derived of: numbers that events hold and that are
        judged.
        """
        return tuple(
            feature
            for feature in self.features
            if feature.kind in {"numeric", "boolean"}
            and feature.pii == "keep"
            and not feature.excluded
        )

    @cached_property
    def stream(self) -> "Schema":
        """The schema of events: without dropped features, with hashed ones as categories, and with
        the derived columns behind them.
        """
        published = tuple(
            feature.as_published() for feature in self.features if feature.pii != "drop"
        )
        if self.derivation is not None:
            columns = zip(self.derivation.names, self.derivation.titles, strict=True)
            published += tuple(
                Feature(name, "numeric", pii="keep", derived=title) for name, title in columns
            )
        return (
            self
            if published == self.features
            else msgspec.structs.replace(self, features=published, derivation=None)
        )

    @cached_property
    def _joint_places(self) -> tuple[int, ...]:
        """Places of the derivation's features among those that are published."""
        assert self.derivation is not None  # noqa: S101  its callers have looked
        published = [feature.name for feature in self.features if feature.pii != "drop"]
        return tuple(map(published.index, self.derivation.features))

    def derived(self, rows: Sequence[list[Value]]) -> list[list[Value]]:
        """Return the values of the derived columns of rows as `cleaner` leaves them; many at once
        cost a tenth of one by one.

        Examples
        --------
        >>> Schema((Feature("x", "numeric"),)).derived([[1.0], [2.0]])
        [[], []]
        """
        if self.derivation is None or not rows:
            return [[] for _ in rows]
        return self.derivation.of_rows(rows, self._joint_places)

    def derived_columns(self, columns: Sequence[Any]) -> list[Floats]:
        """Return the derived columns of the columns of the published features, in their order."""
        if self.derivation is None:
            return []
        return self.derivation.of_columns([columns[place] for place in self._joint_places])

    @cached_property
    def personal(self) -> bool:
        """True if a feature is to be dropped or hashed."""
        return any(feature.pii != "keep" for feature in self.features)

    @cached_property
    def dropped_by_name(self) -> tuple[str, ...]:
        """Names of the dropped features whose names are personal; a registration warns of them."""
        return tuple(
            feature.name
            for feature in self.features
            if feature.pii == "drop" and is_personal(feature.name)
        )

    def completing(self, key: str | None) -> Callable[[list[Value]], list[Value]]:
        """Return the function that makes of a row what is published of it: what `cleaner` leaves of
        it, with the derived columns behind.

        Parameters
        ----------
        key
            Key of the hashes.

        Raises
        ------
        ConfigurationError
            If a feature is to be hashed and there is no key.

        Examples
        --------
        >>> found = Derivation(("x", "y"), (0.0, 0.0), (1.0, 1.0), ((0.6, 0.8),))
        >>> x, y = Feature("x", "numeric"), Feature("y", "numeric")
        >>> Schema((x, y), derivation=found).completing(None)([5.0, 5.0])
        [5.0, 5.0, 1.0, 7.0]
        """
        clean = self.cleaner(key)
        if self.derivation is None:
            return clean

        def complete(row: list[Value]) -> list[Value]:
            published = clean(row)
            return [*published, *self.derived([published])[0]]

        return complete

    def cleaner(self, key: str | None) -> Callable[[list[Value]], list[Value]]:
        """Return the function that reduces a row to what may be published of it.

        Every row that leaves the process passes through it: on its way to the log, the spool and
        the application's own log lines.

        Parameters
        ----------
        key
            Key of the hashes.

        Returns
        -------
        clean
            Function that takes the values of a row as `positional` returns them, and returns those
            that may be
            published, in the order of `stream` and without its derived columns. If no feature is
            personal it returns the row itself.

        Raises
        ------
        ConfigurationError
            If a feature is to be hashed and there is no key.

        Examples
        --------
        >>> email = Feature("email", "categorical")
        >>> customer = Feature("customer", "numeric", pii="hash")
        >>> clean = Schema((email, customer, Feature("x", "numeric"))).cleaner("0123456789abcdef")
        >>> clean(["a@b.c", 7.0, 1.5])
        ['f69cf4852626eee1', 1.5]
        """
        if not self.personal:
            return _unchanged
        secret = self.hash_key(key)
        published = [
            (place, feature.pii == "hash")
            for place, feature in enumerate(self.features)
            if feature.pii != "drop"
        ]

        def clean(row: list[Value]) -> list[Value]:
            return [
                hashed(row[place], secret) if to_hash and row[place] is not None else row[place]
                for place, to_hash in published
            ]

        return clean

    def hash_key(self, key: str | None) -> str:
        """Return the key of the hashes, or an empty text if nothing is hashed and there is no key.

        Raises
        ------
        ConfigurationError
            If a feature is to be hashed and there is no key.
        """
        to_hash = [feature.name for feature in self.features if feature.pii == "hash"]
        if to_hash and not key:
            raise needs_key(", ".join(to_hash))
        return key or ""

    @cached_property
    def _unscored(self) -> tuple[Feature, ...]:
        """The features of a request whose rows no model is called with.

        Dropped features may have any value there, because nobody reads them.
        """
        return tuple(
            UnreadFeature(one.name, "categorical") if one.pii == "drop" else one
            for one in self.features
        )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def kinds(self) -> Kinds:
        """How the values of each feature are counted, in order, and last the prediction's (None
        without one).
        """
        return (*(feature.counted for feature in self.features), self.prediction)

    def kinds_of(self, others: Iterable[str] = ()) -> dict[str, str]:
        """Return what each column of a file is read as, for `read_table`.

        Parameters
        ----------
        others
            Columns that are no features, such as the predictions: these stay as they are written.
        """
        return {feature.name: feature.file_kind for feature in self.features} | dict.fromkeys(
            others, WRITTEN
        )

    @cached_property
    def timed(self) -> tuple[int, ...]:
        """Places of the features that are times."""
        return tuple(
            place for place, feature in enumerate(self.features) if feature.kind == "timestamp"
        )

    @cached_property
    def answer(self) -> Feature:
        """The prediction, as a feature."""
        assert self.prediction is not None  # noqa: S101  its callers have looked
        return Feature("prediction", self.prediction)

    def positional(
        self,
        features: Mapping[str, Any],
        at: str = "/features",
        *,
        scored: bool = True,
        texts: bool = False,
    ) -> tuple[list[Value], list[FieldError]]:
        """Check named values, and put them into the order of the features.

        Parameters
        ----------
        features
            Feature name to value, as decoded from JSON.
        at
            JSON pointer of the mapping, for the errors. An error never quotes a value.
        scored
            True if a model is to be called with the values. If not, a dropped feature may be absent
            or have any value.
        texts
            True if the values are cells of a CSV file, where numbers are texts.

        Returns
        -------
        values
            The values in order, personal ones included. Without meaning if there are errors.
        errors
            Every fault that was found.

        Examples
        --------
        >>> schema = Schema((Feature("x", "numeric"), Feature("c", "categorical", nullable=True)))
        >>> schema.positional({"x": 1})
        ([1.0, None], [])
        >>> schema.positional({"y": 1})[1][0].message
        'is missing, and the schema does not allow that'
        """
        values: list[Value] = []
        errors: list[FieldError] = []
        texts = texts or self.text_numbers == "take"
        for feature in self.features if scored else self._unscored:
            given = features.get(feature.name)
            value, fault = feature.read(given, self.table, texts=texts, scored=scored)
            if fault is not None:
                reason = reason_of(feature, given, self.table)
                errors.append(FieldError(pointer(at, feature.name), fault, reason))
            else:
                values.append(value)
        if self.extra == "refuse":
            errors += [
                FieldError(pointer(at, name), "is not a feature of this model", "unknown_field")
                for name in self.extra_fields(features)[:MOST_UNKNOWN]
            ]
        return values, errors

    @cached_property
    def takes_not_finite(self) -> bool:
        """True if NaN or an infinity in JSON is a missing value of some feature."""
        marks = {*self.table.missing, *(mark for one in self.features for mark in one.marks)}
        return not marks.isdisjoint(NOT_FINITE_MARKS)

    def extra_fields(self, features: Mapping[str, Any]) -> list[str]:
        """Return the fields that are no features.

        Examples
        --------
        >>> Schema((Feature("x", "numeric"),)).extra_fields({"x": 1, "y": 2})
        ['y']
        """
        known = self._known
        return [name for name in features if name not in known]

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.names)

    def read_prediction(self, value: object, *, texts: bool = False) -> tuple[Value, str | None]:
        """Read a prediction that was made elsewhere.

        Parameters
        ----------
        texts
            True if it is a cell of a CSV file.

        Returns
        -------
        value, fault
            The prediction as it stands in the log; and what is wrong with it, None if nothing is.

        Examples
        --------
        >>> schema = Schema((Feature("x", "numeric"),), "categorical", classes=("0", "1"))
        >>> [schema.read_prediction(value)[0] for value in (1, 1.0, "1", True, "true")]
        ['1', '1', '1', '1', '1']
        """
        if self.prediction is None:
            return None, None if value is None else "this model's schema has no prediction"
        if self.prediction == "categorical":
            value = self.class_of(value)
        return self.answer.read(
            value, self.table, texts=texts or self.text_numbers == "take", scored=False
        )

    def read_label(self, value: object, *, texts: bool = False) -> tuple[Value, str | None]:
        """Read a label, the true value of a prediction, as `read_prediction` does.

        A class that the model does not know is taken, and counted as OTHER.

        Examples
        --------
        >>> schema = Schema((Feature("x", "numeric"),), "categorical", classes=("no", "yes"))
        >>> schema.read_label("perhaps"), schema.read_label(None)
        (('perhaps', None), (None, 'is missing'))
        """
        if self.prediction is None:
            return None, (
                "this model's schema has no prediction, so there is nothing that a label could be "
                "compared with"
            )
        if value is None:
            return None, "is missing"
        return self.read_prediction(value, texts=texts)

    def class_of(self, value: object) -> object:
        """Return the class that a value means, as the schema writes it; another value as it is."""
        if not isinstance(value, str | int | float):
            return value
        own = self._by_meaning.get(value) if isinstance(value, str) else None
        return self._by_meaning.get(meaning(value), value) if own is None else own

    @cached_property
    def _by_meaning(self) -> dict[str, str]:
        """Each class by its own text, and by its meaning if that is of no other class."""
        meanings = [meaning(name) for name in self.classes]
        single = {
            said: name
            for said, name in zip(meanings, self.classes, strict=True)
            if meanings.count(said) == 1
        }
        return single | {name: name for name in self.classes}

    def probabilities_fault(self, values: Sequence[object] | None) -> str | None:
        """Return what is wrong with the probabilities of the classes; None if nothing is.

        None instead of probabilities is allowed.

        Examples
        --------
        >>> schema = Schema((Feature("x", "numeric"),), "categorical", classes=("a", "b"))
        >>> schema.probabilities_fault([0.25, 0.75]), schema.probabilities_fault([0.5, 0.75])
        (None, 'must have the sum 1, not 1.25')
        """
        if values is None:
            return None
        if not self.classes:
            return "this model's schema has no classes, so the probabilities cannot be told apart"
        if len(values) != len(self.classes):
            return (
                f"must be {len(self.classes)} numbers, one for each of the classes "
                f"{', '.join(self.classes[:20])}"
            )
        shares = [
            float(value)
            for value in values
            if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
        ]
        if len(shares) < len(values):
            return "must be numbers from 0 to 1"
        total = math.fsum(shares)
        return None if abs(total - 1) <= SUM_TOLERANCE else f"must have the sum 1, not {total:g}"


def meaning(value: str | float) -> str:
    """Return what a class means however it is written: 1, 1.0, "1", true and "True" are one.

    Examples
    --------
    >>> [meaning(value) for value in (1, 1.0, "1.0", True, "True", " yes")]
    ['1', '1', '1', '1', '1', 'yes']
    """
    if isinstance(value, str):
        bare = value.strip()
        lower = bare.lower()
        if lower in {"true", "false"}:
            return "1" if lower == "true" else "0"
        if not _WHOLE.fullmatch(bare):
            return bare
        return text_of(float(bare))
    return text_of(int(value) if isinstance(value, bool) else value)


def reason_of(feature: Feature, value: object, table: TableFormat = PLAIN) -> Reason:
    """Return why a value that has a fault is refused.

    Examples
    --------
    >>> age = Feature("age", "numeric", minimum=0)
    >>> [reason_of(age, value) for value in (None, "n/a", math.nan, -1)]
    ['missing', 'wrong_type', 'not_finite', 'out_of_range']
    """
    if feature.is_missing(value, table):
        return "missing"
    if isinstance(value, float) and not math.isfinite(value):
        return "not_finite"
    undeclared = msgspec.structs.replace(feature, minimum=None, maximum=None, categories=None)
    return "wrong_type" if undeclared.fault(value) is not None else "out_of_range"


def pointer(at: str, name: str) -> str:
    """Append a name to a JSON pointer (RFC 6901); of a long name its beginning.

    Examples
    --------
    >>> pointer("/features", "a/b")
    '/features/a~1b'
    """
    short = name if len(name) <= MOST_NAME else f"{name[:MOST_NAME]}…"
    return f"{at}/{short.replace('~', '~0').replace('/', '~1')}"


def _unchanged(row: list[Value]) -> list[Value]:
    return row
