"""A model version's schema: the names, kinds, ranges and order of its features; and the check of
values against it.

Pure. The API refuses what does not fit. A personal feature can be an input of the model that no
event may hold, so there are two orders: that of the features, in which the model gets them, and
that of `stream`, in which events hold what is left of them. The worker and the reference know the
stream only; where no feature is personal both are the same.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Literal

import msgspec

from driftgauge.shared.contract.events import Value
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.pii import Rule, decide, hashed, is_personal, needs_key

Kind = Literal["numeric", "categorical"]
Kinds = tuple[Kind | None, ...]
ModelDtype = Literal["float64", "bool", "object", "category", "number_category"]
"""How a model's frame holds a feature; the last one is a category of pandas whose values are numbers.
"""
MAX_CATEGORY = 1024
"""Longest category that is accepted, in characters."""
SUM_TOLERANCE = 1e-3
"""How far from 1 the sum of probabilities may be: clients round them."""

RESERVED = {"prediction": "the model's output", "label": "its true value"}
"""Names under which something else is judged beside the features, and what it is."""
MOST_SEGMENT_FEATURES: Final = 3
"""Features by whose values a schema may part the rows."""


class Feature(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One feature of a model.

    Parameters
    ----------
    nullable
        Whether the value may be missing (absent or null); it is then counted as missing.
    minimum, maximum
        Declared range (inclusive) of a numeric feature, None where there is none.
    categories
        Declared categories, None where any string is allowed.
    excluded
        Why the feature is left out of drift; empty when it is not.
    dtype
        How the model was fitted on it: `float64`, `bool`, `object` (texts), `category` of
        pandas, or `number_category`, whose values are numbers. None
        is the usual one of its kind: float64 or object.
    missing
        What stands in the model's frame for a missing text: `nan`, as in frames read from CSV, or
        `none`.
    pii
        What is published of it. None is decided by its name (shared/reference/pii.py) when the
        feature becomes part of a schema, and stored, so that a longer list of names does not change
        the versions that there are.
    """

    name: str
    kind: Kind
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[str, ...] | None = None
    excluded: str = ""
    pii: Rule | None = None
    dtype: ModelDtype | None = None
    missing: Literal["nan", "none"] = "nan"

    @property
    def model_dtype(self) -> ModelDtype:
        """How the model's frame holds the feature: as declared, or as its kind usually is."""
        return self.dtype or ("float64" if self.kind == "numeric" else "object")

    def fault(self, value: object) -> str | None:
        """Say what is wrong with a value, None if nothing is.

        Examples
        --------
        >>> Feature("age", "numeric", minimum=0).fault(-1)
        'is below the declared minimum 0'
        """
        if value is None:
            return None if self.nullable else "is missing, and the schema does not allow that"
        return (
            self._numeric_fault(value) if self.kind == "numeric" else self._categorical_fault(value)
        )

    def _numeric_fault(self, value: object) -> str | None:
        if type(value) is not float and type(value) is not int:
            return f"must be a number, not {_json_type(value)}"
        try:
            number = float(value)
        except OverflowError:
            return "is too large for a floating-point number"
        if not math.isfinite(number):
            return "must be a finite number, not NaN or infinity"
        if self.minimum is not None and number < self.minimum:
            return f"is below the declared minimum {self.minimum:g}"
        if self.maximum is not None and number > self.maximum:
            return f"is above the declared maximum {self.maximum:g}"
        return None

    def _categorical_fault(self, value: object) -> str | None:
        if not isinstance(value, str):
            return f"must be a string, not {_json_type(value)}"
        if len(value) > MAX_CATEGORY:
            return f"is longer than {MAX_CATEGORY} characters"
        if self.categories is not None and value not in self.categories:
            if self.pii in {"drop", "hash"}:  # the categories themselves are personal
                return "is not one of the declared categories"
            return "is not one of the declared categories: " + ", ".join(self.categories[:20])
        return None

    def as_published(self) -> "Feature":
        """Give the feature as the stream has it: a hash is a category, of which none is
        declared.
        """
        if self.pii != "hash":
            return self
        return Feature(self.name, "categorical", self.nullable, excluded=self.excluded, pii="hash")


class _Unread(Feature, frozen=True):
    """A feature that is dropped before anybody reads it: whatever comes is taken."""

    def fault(self, _: object) -> str | None:
        return None


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field of a request: `field` is a JSON pointer such as
    `/features/age`.
    """

    field: str
    message: str


class Schema(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, dict=True
):
    """The features of a model version in the model's order, and what it predicts.

    Parameters
    ----------
    features
        At least one feature, names unique; at least one is published.
    prediction
        Kind of the prediction, None for a stream of inputs without one.
    target
        Name of what is predicted, for display.
    classes
        Class labels in the order of the published probabilities; empty if there are none.
    segments
        Names of up to three categorical features by whose values drift and performance are told
        apart (shared/reference/segments.py).
    """

    features: tuple[Feature, ...]
    prediction: Kind | None = "numeric"
    target: str = ""
    classes: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [feature.name for feature in self.features]
        if not names:
            raise BadData("The schema has no features; give at least one.")
        for name in RESERVED.keys() & set(names):
            raise BadData(
                f"A feature cannot be named {name!r}: that is {RESERVED[name]}. Rename or exclude "
                f"the column."
            )
        twice = (
            sorted({name for name in names if names.count(name) > 1})
            if len(set(names)) < len(names)
            else []
        )
        if twice:
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
                f"to watch. "
                'Say "pii": "keep" or "hash" for one in the schema.'
            )
        msgspec.structs.force_setattr(self, "features", decided)
        self._check_segments()

    def _check_segments(self) -> None:
        """Refuse segments that no event could be parted by."""
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
                    f"{name!r} cannot be a segment: it is numeric. Make it a category (bands of "
                    f"it, say) in the features."
                )

    @cached_property
    def stream(self) -> "Schema":
        """The schema of what is published: dropped features are gone, hashed ones are categories;
        itself where none is.
        """
        published = tuple(
            feature.as_published() for feature in self.features if feature.pii != "drop"
        )
        return (
            self
            if published == self.features
            else msgspec.structs.replace(self, features=published)
        )

    @cached_property
    def personal(self) -> bool:
        """Whether a feature is to be dropped or hashed."""
        return any(feature.pii != "keep" for feature in self.features)

    @cached_property
    def dropped_by_name(self) -> tuple[str, ...]:
        """Names of the features that are dropped and on the default list: what a registration warns
        of.
        """
        return tuple(
            feature.name
            for feature in self.features
            if feature.pii == "drop" and is_personal(feature.name)
        )

    def cleaner(self, key: str | None) -> Callable[[list[Value]], list[Value]]:
        """Give the function that makes of a checked row what may be published of it.

        Everything that leaves the process goes through it: the log, the spool, logs of the
        application. Where no feature is personal it gives the row itself.

        Parameters
        ----------
        key
            Key of the hashes.

        Returns
        -------
        clean
            Takes the values that `positional` gave, gives what is left of them, in stream order.

        Raises
        ------
        ConfigurationError
            If a feature is to be hashed and there is no key.

        Examples
        --------
        >>> email, customer = Feature("email", "categorical"), Feature("customer", "numeric", pii="hash")
        >>> clean = Schema((email, customer, Feature("x", "numeric"))).cleaner("0123456789abcdef")
        >>> clean(["a@b.c", 7.0, 1.5])
        ['f69cf4852626eee1', 1.5]
        """
        rules = [
            (place, feature.pii == "hash")
            for place, feature in enumerate(self.features)
            if feature.pii != "drop"
        ]
        if not self.personal:
            return _as_it_is
        secret = self.hash_key(key)

        def clean(row: list[Value]) -> list[Value]:
            return [
                hashed(row[place], secret) if to_hash and row[place] is not None else row[place]
                for place, to_hash in rules
            ]

        return clean

    def hash_key(self, key: str | None) -> str:
        """Give the key; where nothing is hashed none is needed."""
        to_hash = [feature.name for feature in self.features if feature.pii == "hash"]
        if to_hash and not key:
            raise needs_key(", ".join(to_hash))
        return key or ""

    @cached_property
    def _unscored(self) -> tuple[Feature, ...]:
        """The features as a request is read by them if no model is called: nobody reads what is
        dropped.
        """
        return tuple(
            _Unread(one.name, "categorical") if one.pii == "drop" else one for one in self.features
        )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def kinds(self) -> Kinds:
        """Kind of each feature, in order, and last of the prediction."""
        return (*(feature.kind for feature in self.features), self.prediction)

    def positional(
        self, features: Mapping[str, Any], at: str = "/features", *, scored: bool = True
    ) -> tuple[list[Value], list[FieldError]]:
        """Bring named values into the order of the features and check each.

        Parameters
        ----------
        features
            Name to value, as decoded from JSON.
        at
            JSON pointer of the mapping, for the errors, which never quote a value.
        scored
            Whether a model is to be called with the values. If not, a feature that is dropped may
            be absent, and is taken whatever it holds.

        Returns
        -------
        values, errors
            The values in order, personal ones included, and every fault found; values are of use
            only without errors.

        Examples
        --------
        >>> schema = Schema((Feature("x", "numeric"), Feature("c", "categorical", nullable=True)))
        >>> schema.positional({"x": 1})
        ([1.0, None], [])
        >>> schema.positional({"y": 1})[1][0]
        FieldError(field='/features/x', message='is missing, and the schema does not allow that')
        """
        values: list[Value] = []
        errors: list[FieldError] = []
        for feature in self.features if scored else self._unscored:
            value = features.get(feature.name)
            fault = feature.fault(value)
            if fault is not None:
                errors.append(FieldError(pointer(at, feature.name), fault))
            else:
                values.append(
                    float(value) if feature.kind == "numeric" and value is not None else value
                )
        if len(features) > len(self.features) - sum(name not in features for name in self.names):
            known = set(self.names)
            errors += [
                FieldError(pointer(at, name), "is not a feature of this model")
                for name in features
                if name not in known
            ]
        return values, errors

    def prediction_fault(self, value: object) -> str | None:
        """Say what is wrong with a prediction that was made elsewhere, None if nothing is."""
        if self.prediction is None:
            return None if value is None else "this model's schema has no prediction"
        return Feature("prediction", self.prediction).fault(value)

    def label_fault(self, value: object) -> str | None:
        """Say what is wrong with the true value of a prediction, None if nothing is.

        Examples
        --------
        >>> Schema((Feature("x", "numeric"),), "categorical", classes=("no", "yes")).label_fault("perhaps")
        'is not one of the classes no, yes'
        >>> Schema((Feature("x", "numeric"),)).label_fault(None)
        'is missing'
        """
        if self.prediction is None:
            return "this model's schema has no prediction, so there is nothing that a label could be compared with"
        if value is None:
            return "is missing"
        fault = Feature("label", self.prediction).fault(value)
        if fault is None and self.classes and value not in self.classes:
            return f"is not one of the classes {', '.join(self.classes[:20])}"
        return fault

    def probabilities_fault(self, values: Sequence[object] | None) -> str | None:
        """Say what is wrong with the probabilities of the classes, None if nothing is or there are
        none.

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
            return f"must be {len(self.classes)} numbers, one for each of the classes {', '.join(self.classes[:20])}"
        shares = [
            float(value)
            for value in values
            if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
        ]
        if len(shares) < len(values):
            return "must be numbers from 0 to 1"
        total = math.fsum(shares)
        return None if abs(total - 1) <= SUM_TOLERANCE else f"must have the sum 1, not {total:g}"


def pointer(at: str, name: str) -> str:
    """Append a name to a JSON pointer (RFC 6901).

    Examples
    --------
    >>> pointer("/features", "a/b")
    '/features/a~1b'
    """
    return f"{at}/{name.replace('~', '~0').replace('/', '~1')}"


def _as_it_is(row: list[Value]) -> list[Value]:
    return row


def _json_type(value: object) -> str:
    if isinstance(value, bool):
        return "a boolean"
    names: dict[type, str] = {
        str: "a string",
        list: "a list",
        dict: "an object",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "null" if value is None else type(value).__name__)
