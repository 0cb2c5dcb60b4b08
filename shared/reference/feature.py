"""One feature of a model: its name and kind, and the check of single values."""

import math
from typing import Final, Literal

import msgspec

from driftgauge.shared.reference.pii import PiiTreatment

Kind = Literal["numeric", "categorical"]
ModelDtype = Literal["float64", "bool", "object", "category", "number_category"]
"""Dtype of a feature in a model's frame; the values of a `number_category` are numbers."""
MAX_CATEGORY: Final = 1024
"""Most characters of a category."""


class Feature(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One feature of a model.

    Parameters
    ----------
    nullable
        True if the value may be missing (absent or null); a missing value is counted as missing.
    minimum, maximum
        Declared range of a numeric feature, both ends included; None is no limit.
    categories
        Declared categories of a categorical feature; None allows any string.
    excluded
        Why drift is not judged on the feature; empty if it is.
    dtype
        Dtype of the feature when the model was fitted: `float64`, `bool`, `object` (texts),
        `category` of pandas, or `number_category`. None is the usual one of its kind: float64 or
        object.
    missing
        Marker of a missing text in the model's frame: `nan`, as in frames read from CSV, or `none`.
    pii
        Treatment of the feature in events. None is decided by the feature's name
        (shared/reference/pii.py) when it becomes part of a schema. The decision is stored, so that
        a longer list of personal names does not change existing versions.
    """

    name: str
    kind: Kind
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[str, ...] | None = None
    excluded: str = ""
    pii: PiiTreatment | None = None
    dtype: ModelDtype | None = None
    missing: Literal["nan", "none"] = "nan"

    @property
    def model_dtype(self) -> ModelDtype:
        """Dtype of the feature in the model's frame: the declared one, or the usual one of its
        kind.
        """
        return self.dtype or ("float64" if self.kind == "numeric" else "object")

    def fault(self, value: object) -> str | None:
        """Return what is wrong with a value, as decoded from JSON; None if nothing is.

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

    def as_published(self) -> "Feature":
        """Return the feature as events have it: a hash is a category, and none is declared."""
        if self.pii != "hash":
            return self
        return Feature(self.name, "categorical", self.nullable, excluded=self.excluded, pii="hash")

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


class UnreadFeature(Feature, frozen=True):
    """A feature that is dropped before anybody reads it, so that every value is allowed."""

    def fault(self, _: object) -> str | None:
        return None


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
